//! Linus Torvalds's clone.c of 1996. The child has its mother's memory and her file table. It sets her variable and
//! closes her file.

use clone_trampoline::{Error, start_thread};
use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

static VM: AtomicI32 = AtomicI32::new(0);

pub(crate) fn main() -> Result<(), Error> {
    let file = File::open("/dev/null").expect("/dev/null");
    let fd = file.as_raw_fd();
    println!("mother:\t fd = {fd}");
    VM.store(10, SeqCst);
    println!("mother:\t vm = {VM:?}");
    start_thread(move || child(file))?.join().expect("the child does not panic");
    println!("mother:\t vm = {VM:?}");
    println!("mother:\t child closed our file descriptor{}", if is_open(fd) { ": no" } else { "" });
    Ok(())
}

fn child(file: File) {
    println!("child:\t got argument {} as fd", file.as_raw_fd());
    VM.store(5, SeqCst);
    println!("child:\t vm = {VM:?}");
    drop(file);
}

fn is_open(fd: i32) -> bool {
    std::fs::exists(format!("/proc/self/fd/{fd}")).expect("/proc")
}

//! Linus Torvalds's clone.c of 1996: a child that shares its mother's memory and file table.
//!
//! The same six lines in the same order, without the holes of the original: the stack has a guard page
//! and is given back, the child is waited for rather than slept for, it uses nothing of libc's state,
//! and each step that fails says why.

use clone_trampoline::{CloneFlags, raw};
use std::ffi::{c_int, c_ulong, c_void};
use std::fmt::Write;
use std::fs::File;
use std::io::{self, Error};
use std::os::fd::{AsRawFd, IntoRawFd, RawFd};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering::SeqCst};

/// What both see: the child changes it, the mother reads it.
static SHOW_SAME_VM: AtomicI32 = AtomicI32::new(0);

pub(crate) fn main() -> io::Result<()> {
    // The child closes it, so nobody here may own it.
    let fd = File::options().read(true).write(true).open("/dev/null")?.into_raw_fd();
    println!("mother:\t fd = {fd}");
    SHOW_SAME_VM.store(10, SeqCst);
    println!("mother:\t vm = {}", SHOW_SAME_VM.load(SeqCst));

    let stack = Stack::new()?;
    let pid = start_thread(cloned_process_starts_here, &stack, fd)?;
    wait(pid)?;

    println!("mother:\t vm = {}", SHOW_SAME_VM.load(SeqCst));
    // SAFETY: one byte of a literal; the descriptor is expected to be closed.
    if unsafe { libc::write(fd, c"c".as_ptr().cast(), 1) } < 0 {
        println!("mother:\t child closed our file descriptor");
    }
    Ok(())
}

unsafe extern "C" fn cloned_process_starts_here(data: *mut c_void) -> c_int {
    let fd = data.addr() as RawFd;
    say(format_args!("child:\t got argument {fd} as fd\n"));
    SHOW_SAME_VM.store(5, SeqCst);
    say(format_args!("child:\t vm = {}\n", SHOW_SAME_VM.load(SeqCst)));
    // SAFETY: nobody else uses this descriptor, and it was open: close does not write errno.
    unsafe { libc::syscall(libc::SYS_close, fd) as c_int }
}

/// Starts `f(fd)` as a process in our memory, with our files, root and signal handlers.
fn start_thread(f: raw::ChildFn, stack: &Stack, fd: RawFd) -> io::Result<c_int> {
    let flags = CloneFlags::VM | CloneFlags::FS | CloneFlags::FILES | CloneFlags::SIGHAND;
    // SAFETY: the stack is the child's until `wait`; the child uses no thread-local storage, of which it
    // has none of its own.
    let tid = unsafe {
        raw::clone_trampoline(
            Some(f),
            stack.top(),
            flags.bits() as c_ulong | libc::SIGCHLD as c_ulong,
            ptr::without_provenance_mut(fd as usize),
            ptr::null_mut(),
            ptr::null_mut(),
            ptr::null_mut(),
        )
    };
    if tid < 0 { Err(failed("clone", Error::from_raw_os_error(-tid as i32))) } else { Ok(tid as c_int) }
}

/// Waits for the child, and says what became of it if it did not return 0.
fn wait(pid: c_int) -> io::Result<()> {
    let mut status = 0;
    // SAFETY: a place for the status.
    while unsafe { libc::waitpid(pid, &mut status, 0) } < 0 {
        let error = Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(failed("waitpid", error));
        }
    }
    if status == 0 { Ok(()) } else { Err(Error::other(format!("the child's wait status is {status:#x}"))) }
}

/// Prints without libc's buffers, locks and errno, which belong to the mother.
fn say(text: std::fmt::Arguments) {
    struct Line([u8; 64], usize);
    impl Write for Line {
        fn write_str(&mut self, text: &str) -> std::fmt::Result {
            let end = self.1 + text.len();
            self.0.get_mut(self.1..end).ok_or(std::fmt::Error)?.copy_from_slice(text.as_bytes());
            self.1 = end;
            Ok(())
        }
    }
    let mut line = Line([0; 64], 0);
    if line.write_fmt(text).is_ok() {
        // SAFETY: a buffer of ours and its length.
        unsafe { libc::syscall(libc::SYS_write, io::stdout().as_raw_fd(), line.0.as_ptr(), line.1) };
    }
}

/// A stack above a guard page.
struct Stack {
    base: *mut c_void,
    size: usize,
}

impl Stack {
    fn new() -> io::Result<Self> {
        let size = 64 * 1024;
        // SAFETY: a new mapping, whose lowest page becomes the guard.
        unsafe {
            let prot = libc::PROT_READ | libc::PROT_WRITE;
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
            let base = libc::mmap(ptr::null_mut(), size, prot, flags, -1, 0);
            if base == libc::MAP_FAILED {
                return Err(failed("mmap", Error::last_os_error()));
            }
            let stack = Self { base, size };
            if libc::mprotect(base, libc::sysconf(libc::_SC_PAGESIZE) as usize, libc::PROT_NONE) < 0 {
                return Err(failed("mprotect", Error::last_os_error()));
            }
            Ok(stack)
        }
    }

    fn top(&self) -> *mut c_void {
        // SAFETY: one past the end of the mapping.
        unsafe { self.base.byte_add(self.size) }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        // SAFETY: our own mapping; the child that had it is gone.
        unsafe { libc::munmap(self.base, self.size) };
    }
}

fn failed(step: &str, error: Error) -> Error {
    Error::new(error.kind(), format!("{step}: {error}"))
}

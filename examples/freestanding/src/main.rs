//! A program without libc and without std that starts 10,000 threads. It uses only the raw tier.
//!
//! `thread.rs` is the thread runtime: stacks, thread-local storage, join, detach. This file uses it. Half of the
//! threads are joined, half are detached, and each adds its number to a sum. At the end the sum must be right, and the
//! process must have as many mappings as at the beginning.

#![no_std]
#![no_main]
#![no_builtins]

mod arch;
mod memory;
mod thread;
mod tls;

use core::fmt::{self, Write};
use core::sync::atomic::{AtomicU32, Ordering::Relaxed};
use syscalls::{Errno, Sysno, syscall};

const WAVES: u32 = 100;
const WAVE: u32 = 100;

/// The sum of the detached threads.
static SUM: AtomicU32 = AtomicU32::new(0);

/// The program, called by `_start` in `arch.rs`.
extern "C" fn main() -> ! {
    tls::init();
    let before = mappings();

    let mut sum = 0;
    for wave in 0..WAVES {
        let mut joined = [const { None }; WAVE as usize / 2];
        for (i, slot) in joined.iter_mut().enumerate() {
            let number = wave * WAVE + 2 * i as u32;
            *slot = Some(or_die("clone", thread::spawn(answer, number + 1)));
            or_die("clone", thread::spawn(add, number + 2)).detach();
        }
        for thread in joined.into_iter().flatten() {
            sum += thread.join();
        }
    }

    // A detached thread unmaps itself some time after it has added its number.
    let mut left = 3000;
    while mappings() != before && left > 0 {
        left -= 1;
        sleep_10_ms();
    }
    sum += SUM.load(Relaxed);
    let clean = left > 0;
    let threads = WAVES * WAVE;
    let _ = writeln!(Output, "{threads} threads, sum {sum}");
    let _ = writeln!(Output, "{} left behind", if clean { "no mapping" } else { "mappings" });
    exit(if clean && sum == threads * (threads + 1) / 2 { 0 } else { 1 })
}

fn answer(number: u32) -> u32 {
    kept_by_thread(number)
}

fn add(number: u32) -> u32 {
    SUM.fetch_add(kept_by_thread(number), Relaxed);
    0
}

/// Keeps the number in a thread-local variable for a while, and returns it. No other thread may write to that variable.
fn kept_by_thread(number: u32) -> u32 {
    thread::local().set(number);
    // SAFETY: the call takes no arguments.
    let _ = unsafe { syscall!(Sysno::sched_yield) };
    thread::local().get()
}

/// Counts the lines of /proc/self/maps. A stack that grows adds no line.
fn mappings() -> usize {
    const AT_FDCWD: isize = -100;
    let (mut buffer, mut lines) = ([0; 512], 0);
    // SAFETY: the path ends in NUL, the length is the buffer's, and the descriptor is our own.
    unsafe {
        let file = or_die("maps", syscall!(Sysno::openat, AT_FDCWD, c"/proc/self/maps".as_ptr(), 0));
        loop {
            match or_die("maps", syscall!(Sysno::read, file, buffer.as_mut_ptr(), buffer.len())) {
                0 => break,
                length => lines += buffer[..length].iter().filter(|&&byte| byte == b'\n').count(),
            }
        }
        or_die("close", syscall!(Sysno::close, file));
    }
    lines
}

fn sleep_10_ms() {
    let time: [core::ffi::c_long; 2] = [0, 10_000_000];
    // SAFETY: on all architectures that have this call, it takes a struct timespec of two longs.
    let _ = unsafe { syscall!(Sysno::nanosleep, time.as_ptr(), 0) };
}

fn or_die<T>(step: &str, result: Result<T, Errno>) -> T {
    result.unwrap_or_else(|error| {
        let _ = writeln!(Output, "{step}: errno {}", error.into_raw());
        exit(2)
    })
}

fn exit(status: i32) -> ! {
    loop {
        // SAFETY: the call only ends the process.
        let _ = unsafe { syscall!(Sysno::exit_group, status) };
    }
}

struct Output;

impl Write for Output {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // SAFETY: the length is that of the text.
        match unsafe { syscall!(Sysno::write, 1, text.as_ptr(), text.len()) } {
            Ok(written) if written == text.len() => Ok(()),
            _ => Err(fmt::Error),
        }
    }
}

#[panic_handler]
fn panic(info: &core::panic::PanicInfo) -> ! {
    let _ = writeln!(Output, "{info}");
    exit(3)
}

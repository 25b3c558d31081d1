//! Whether a child can share memory here at all (S4). Emulators make a copy of it instead: the closure
//! would run, with all its outside effects, and its value would be lost.

#![allow(unsafe_code)]

use crate::alone::try_asking;
use crate::end::wait;
use crate::raw::CloneArgs;
use crate::start::{Stack, start};
use crate::task::{not_shared, pid_namespace};
use crate::{CloneFlags, Error, pending};
use std::ffi::{c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicU8, Ordering};

const UNKNOWN: u8 = 0;
const SHARED: u8 = 1;
const COPIED: u8 = 2;

static MEMORY: AtomicU8 = AtomicU8::new(UNKNOWN);

/// Tries it out, once in a process.
pub(crate) fn memory_is_shared() -> Result<(), Error> {
    if MEMORY.load(Ordering::Relaxed) == UNKNOWN {
        MEMORY.store(try_out()?, Ordering::Relaxed);
    }
    if MEMORY.load(Ordering::Relaxed) == SHARED { Ok(()) } else { Err(not_shared()) }
}

fn try_out() -> Result<u8, Error> {
    const UNSEEN: c_int = -1;
    unsafe extern "C" fn see(parent: *mut c_void) -> c_int {
        try_asking();
        // SAFETY: the parent passes a pointer to its local, and sleeps.
        unsafe { parent.cast::<c_int>().write(libc::getppid()) };
        0
    }
    let mut parent = UNSEEN;
    let args = CloneArgs { flags: (CloneFlags::VM | CloneFlags::VFORK).bits(), ..CloneArgs::default() };
    // SAFETY: with VFORK the caller sleeps, so that the child may have its stack and its TLS.
    match unsafe { start(&args, Stack::Callers, see, ptr::from_mut(&mut parent).cast()) } {
        Ok(pid) => _ = wait(pid, libc::__WALL),
        Err(error) if error.raw_os_error() == libc::EINVAL => {
            // Until about 6.2 a kernel's answer while the caller's children are to get another time namespace; else
            // qemu-user's, which makes a fork only of a child that sends SIGCHLD. Neither is remembered: the first passes.
            return Err(if pending::time_namespace() == Some(true) {
                error.with_hint(Some(
                    "before about Linux 6.2 memory cannot be shared after unshare(2) or setns(2) with a time namespace",
                ))
            } else {
                not_shared()
            });
        }
        Err(error) => return Err(error),
    }
    match parent {
        UNSEEN => Ok(COPIED),
        // S3, and this child was the namespace's first.
        0 => Err(pid_namespace()),
        _ => Ok(SHARED),
    }
}

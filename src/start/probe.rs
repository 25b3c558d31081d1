//! Whether a child can share memory here at all (S4). Emulators make a copy of it instead: the closure
//! would run, with all its outside effects, and its value would be lost.

#![allow(unsafe_code)]

use super::end::wait;
use super::why::OLD_TIME_NAMESPACE;
use super::{Stack, start};
use crate::raw::CloneArgs;
use crate::{CloneFlags, Error, Stage};
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
        // SAFETY: the parent passes a pointer to its local, and sleeps.
        unsafe { parent.cast::<c_int>().write(libc::getppid()) };
        0
    }
    let mut parent = UNSEEN;
    let args = CloneArgs { flags: (CloneFlags::VM | CloneFlags::VFORK).bits(), ..CloneArgs::default() };
    // SAFETY: with VFORK the caller sleeps, so that the child may have its stack and its TLS.
    match unsafe { start(&args, Stack::InArgs, see, ptr::from_mut(&mut parent).cast()) } {
        Ok(pid) => {
            let status = wait(pid, libc::__WALL);
            // It may have been killed before it could write, which is not remembered.
            if parent == UNSEEN && !matches!(status, Ok(Some(status)) if status.success()) {
                return Err(not_shared());
            }
        }
        Err(error) if error.raw_os_error() == libc::EINVAL => {
            // qemu-user makes a fork only of a child that sends SIGCHLD. A kernel answers so, until about 6.2, while the
            // caller's children are to get another time namespace. Neither is remembered, as the latter passes.
            return Err(if error.hint() == Some(OLD_TIME_NAMESPACE) { error } else { not_shared() });
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

/// S4: a child has ended without a trace of what it did.
pub(crate) fn not_shared() -> Error {
    Error::new(
        Stage::SharedMemory,
        libc::ENOSYS,
        "the child had a copy of the memory: an emulator (qemu-user, valgrind) or sandbox that makes a fork \
         of every clone",
    )
}

/// S3: the parent has no pid in the child's pid namespace.
pub(crate) fn pid_namespace() -> Error {
    Error::new(
        Stage::PidNamespace,
        libc::EINVAL,
        "the caller has called unshare(2) or setns(2) with a pid namespace, and tids of two of them \
         collide in shared memory; if this attempt was the first process there, nothing can be started \
         in it any more: use fork, or unshare after the call",
    )
}

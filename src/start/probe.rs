//! Finds out whether a child can share memory here at all (S4). Emulators make a copy of it instead. Then the closure
//! would run, with all its effects outside the memory, and its value would be lost.

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

/// Checks it with a child, once per process.
pub(crate) fn memory_is_shared() -> Result<(), Error> {
    if MEMORY.load(Ordering::Relaxed) == UNKNOWN {
        MEMORY.store(try_out()?, Ordering::Relaxed);
    }
    if MEMORY.load(Ordering::Relaxed) == SHARED { Ok(()) } else { Err(not_shared()) }
}

fn try_out() -> Result<u8, Error> {
    const UNSEEN: c_int = -1;
    unsafe extern "C" fn see(parent: *mut c_void) -> c_int {
        // SAFETY: the parent passes a pointer to its local, and sleeps while this runs.
        unsafe { parent.cast::<c_int>().write(libc::getppid()) };
        0
    }
    let mut parent = UNSEEN;
    let args = CloneArgs { flags: (CloneFlags::VM | CloneFlags::VFORK).bits(), ..CloneArgs::default() };
    // SAFETY: with VFORK the caller sleeps, so that the child may have its stack and its TLS.
    match unsafe { start(&args, Stack::InArgs, see, ptr::from_mut(&mut parent).cast()) } {
        Ok(pid) => {
            let status = wait(pid, libc::__WALL);
            // The child may have been killed before it could write. Such a result is not remembered.
            if parent == UNSEEN && !matches!(status, Ok(Some(status)) if status.success()) {
                return Err(not_shared());
            }
        }
        Err(error) if error.raw_os_error() == libc::EINVAL => {
            // qemu-user refuses a fork if the child does not send SIGCHLD. A kernel before about 6.2 refuses this call
            // if the caller's children get another time namespace. Neither is remembered, because the second cause can
            // go away.
            return Err(if error.hint() == Some(OLD_TIME_NAMESPACE) { error } else { not_shared() });
        }
        Err(error) => return Err(error),
    }
    match parent {
        UNSEEN => Ok(COPIED),
        // S3: this child was the first process of the namespace.
        0 => Err(pid_namespace()),
        _ => Ok(SHARED),
    }
}

/// Makes the error of S4: a child has ended, and nothing that it did is seen in the memory.
pub(crate) fn not_shared() -> Error {
    Error::new(
        Stage::SharedMemory,
        libc::ENOSYS,
        "the child had a copy of the memory, because an emulator (qemu-user, valgrind) or a sandbox makes \
         a fork of every clone",
    )
}

/// Makes the error of S3: the parent has no pid in the child's pid namespace.
pub(crate) fn pid_namespace() -> Error {
    Error::new(
        Stage::PidNamespace,
        libc::EINVAL,
        "the caller has called unshare(2) or setns(2) with a pid namespace, and the tids of two pid \
         namespaces collide in shared memory; if this attempt was the first process there, nothing can be started \
         in it any more: use fork, or unshare after the call",
    )
}

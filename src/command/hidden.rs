//! How the caller's memory is kept from others while a child has it.
//!
//! A child with other ids, or fewer capabilities, or in another user namespace, can be traced by whom the caller cannot be
//! traced by, and with it the caller's memory. So the memory is not dumpable meanwhile: the kernel sees to it when ids change,
//! and [`hide`](Plan::hide) otherwise.

#![allow(unsafe_code)]

use super::fds::pipe;
use super::plan::{NO_NAME, Plan};
use crate::{Error, Stage};
use std::ffi::{c_int, c_long};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

/// Tells when a child no longer has the caller's memory. The kernel wakes the caller a little before that (`exec_mmap`), and
/// closes what is close-on-exec a little after. So the child locks such a descriptor. A lock of fcntl(2) belongs to a process:
/// a copy of the descriptor in another one keeps nothing locked.
pub(super) struct Watch(OwnedFd);

impl Watch {
    pub(super) fn new() -> Result<Self, Error> {
        match pipe() {
            Ok((_, writes)) => Ok(Self(writes)),
            Err(error) => {
                let hint = "one descriptor tells when the program no longer has this one's memory";
                Err(Error::from_io(Stage::Fd, &error).with_hint(Some(hint)))
            }
        }
    }

    pub(super) fn fd(&self) -> &OwnedFd {
        &self.0
    }

    /// By a number that is none of the program's.
    pub(super) fn replace(&mut self, duplicate: OwnedFd) {
        // Not beside the other one: closing either would end the lock.
        self.0 = duplicate;
    }

    /// Waits until the child has executed its program, or has ended.
    pub(super) fn wait(&self) {
        let lock = lock();
        // SAFETY: a lock.
        while unsafe { libc::fcntl(self.0.as_raw_fd(), libc::F_SETLKW, &lock) } == -1 {
            if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
                return;
            }
        }
    }
}

/// The whole of a file.
fn lock() -> libc::flock {
    // SAFETY: integers.
    let mut lock: libc::flock = unsafe { MaybeUninit::zeroed().assume_init() };
    lock.l_type = libc::F_WRLCK as _;
    lock.l_whence = libc::SEEK_SET as _;
    lock
}

impl Plan {
    /// The child's first step of its own.
    pub(super) fn lock_watch(&mut self, watch: Option<RawFd>) {
        if let Some(watch) = watch {
            let lock = self.keep(vec![lock()]);
            let arguments = [watch.into(), c_long::from(libc::F_SETLK as c_int), lock, 0];
            self.call(Stage::Fd, NO_NAME, FCNTL, arguments);
        }
    }

    /// Where no change of ids does.
    pub(super) fn hide(&mut self, stage: Stage) {
        if self.watch.is_some() {
            let arguments = [c_long::from(libc::PR_SET_DUMPABLE), 0, 0, 0];
            self.call(stage, NO_NAME, libc::SYS_prctl, arguments);
        }
    }
}

// 32-bit architectures have a second one, but x32.
#[cfg(any(target_pointer_width = "64", target_arch = "x86_64"))]
use libc::SYS_fcntl as FCNTL;
#[cfg(not(any(target_pointer_width = "64", target_arch = "x86_64")))]
use libc::SYS_fcntl64 as FCNTL;

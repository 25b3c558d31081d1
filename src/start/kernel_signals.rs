//! What the kernel's calls about signals take. libc's types are larger, and its functions keep some signals to themselves.

#![allow(unsafe_code)]

use super::arch::NSIG;
use std::io;
use std::ptr;

/// `struct sigaction`, which has six words or fewer on any architecture. A larger array would make the compiler call
/// memset(3), which not everybody here may do (see command/child.rs).
pub(crate) type KernelAction = [usize; 6];

/// rt_sigprocmask(2) itself, with `SIG_SETMASK`: libc's function never blocks its own signals.
///
/// # Safety
///
/// Each is null or has the size of the kernel's set, or more.
pub(crate) unsafe fn set_mask(new: *const u8, old: *mut u8) -> io::Result<()> {
    // SAFETY: the caller's promise.
    match unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, new, old, NSIG / 8) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The kernel's set of signals.
pub(crate) type Set = [u8; NSIG / 8];

/// The signals that the calling thread has blocked.
pub(crate) struct Mask(pub(crate) Set);

impl Mask {
    /// Blocks all signals, those of libc, too.
    pub(crate) fn block_all() -> io::Result<Self> {
        let mut before = Set::default();
        // SAFETY: a set, and a place for one.
        unsafe { set_mask([0xff_u8; NSIG / 8].as_ptr(), before.as_mut_ptr()) }?;
        Ok(Self(before))
    }

    pub(crate) fn restore(&self) {
        // SAFETY: a set.
        _ = unsafe { set_mask(self.0.as_ptr(), ptr::null_mut()) };
    }
}

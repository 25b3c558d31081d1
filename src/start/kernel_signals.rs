//! Types and calls for signals as the kernel has them. libc's types are larger, and its functions keep some signals to
//! themselves.

#![allow(unsafe_code)]

use super::arch::NSIG;
use std::io;
use std::ptr;

/// The kernel's `struct sigaction`, which has six words or fewer on any architecture. The
/// compiler clears so few words without a call of memset(3), which `Command`'s child should not need.
pub(crate) type KernelAction = [usize; 6];

/// Calls rt_sigprocmask(2) with `SIG_SETMASK`. libc's function never blocks libc's own signals.
///
/// # Safety
///
/// Each pointer is null or points to at least as many bytes as the kernel's set has.
pub(crate) unsafe fn set_mask(new: *const u8, old: *mut u8) -> io::Result<()> {
    // SAFETY: the caller guarantees this.
    match unsafe { libc::syscall(libc::SYS_rt_sigprocmask, libc::SIG_SETMASK, new, old, NSIG / 8) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// The kernel's set of signals.
pub(crate) type Set = [u8; NSIG / 8];

/// The signals that the calling thread had blocked before.
pub(crate) struct Mask(pub(crate) Set);

impl Mask {
    /// Blocks all signals, including libc's own.
    pub(crate) fn block_all() -> io::Result<Self> {
        let mut before = Set::default();
        // SAFETY: both point to a set of the kernel's size.
        unsafe { set_mask([0xff_u8; NSIG / 8].as_ptr(), before.as_mut_ptr()) }?;
        Ok(Self(before))
    }

    pub(crate) fn restore(&self) {
        // SAFETY: the pointer is to a set of the kernel's size.
        _ = unsafe { set_mask(self.0.as_ptr(), ptr::null_mut()) };
    }
}

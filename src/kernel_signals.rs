//! What the kernel's calls about signals take. libc's types are larger, and its functions keep some signals to themselves.

#![allow(unsafe_code)]

use crate::arch::NSIG;
use std::io;

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

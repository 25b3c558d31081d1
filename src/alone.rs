//! Whether a process has one thread.

#![allow(unsafe_code)]

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether the kernel answers; it is seen in the first child of a program (see `probe`).
static CAN_BE_ASKED: AtomicBool = AtomicBool::new(true);

/// Whether the calling thread is the only one of its process.
pub(crate) fn is_alone() -> bool {
    match asked() {
        Ok(()) => true,
        Err(libc::EINVAL) if CAN_BE_ASKED.load(Ordering::Relaxed) => false,
        // A filter refuses. /proc has a link for each thread. Where there is none either it cannot be known: see the limits
        // in lib.rs.
        Err(_) => fs::metadata("/proc/self/task").map_or(true, |folder| folder.nlink() == 3),
    }
}

/// Asks for what only a process of one thread may do, and what changes nothing there: `check_unshare_flags` of the kernel.
fn asked() -> Result<(), i32> {
    // SAFETY: no pointers.
    match unsafe { libc::unshare(libc::CLONE_THREAD) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)),
    }
}

/// In a child that shares its parent's memory, and has one thread: until Linux 4.3 it counts as several.
pub(crate) fn try_asking() {
    CAN_BE_ASKED.store(asked() != Err(libc::EINVAL), Ordering::Relaxed);
}

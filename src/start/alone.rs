//! Whether a process has one thread.

#![allow(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// The folder has a link for each thread, beside the two of every folder.
const TASKS: &str = "/proc/self/task";

/// Whether the calling thread is known to be the only one of its process.
pub(crate) fn is_alone() -> bool {
    match asked() {
        Ok(()) => true,
        Err(libc::EINVAL) => false,
        // A filter refuses.
        Err(_) => fs::metadata(TASKS).is_ok_and(|folder| folder.nlink() == 3),
    }
}

/// Whether the calling thread is known to be the only task that uses its memory: not, in a child of `call` or `spawn`.
pub(crate) fn has_own_memory() -> bool {
    // SAFETY: no pointers. It changes nothing where it is allowed.
    unsafe { libc::unshare(libc::CLONE_VM) == 0 }
}

/// Asks for what only a process of one thread may do, and what changes nothing there: `check_unshare_flags` of the kernel.
fn asked() -> Result<(), i32> {
    // SAFETY: no pointers.
    match unsafe { libc::unshare(libc::CLONE_THREAD) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)),
    }
}

/// The same for a child that shares its parent's memory.
#[derive(Debug)]
pub(crate) struct Alone {
    /// Some where the kernel does not answer: a filter refuses, or before Linux 4.3, which takes such a child for several
    /// threads. Opened early, as the closure may go where /proc is not.
    tasks: Option<File>,
}

impl Alone {
    /// In the child, before it can have made a thread.
    pub(crate) fn look() -> Self {
        let open = || OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(TASKS).ok();
        Self { tasks: asked().err().and_then(|_| open()) }
    }

    pub(crate) fn is_true(&self) -> bool {
        let Err(errno) = asked() else { return true };
        let folder = match &self.tasks {
            Some(tasks) => tasks.metadata(),
            None => fs::metadata(TASKS),
        };
        // What neither tells cannot be known: see the limits in lib.rs.
        folder.map_or(errno != libc::EINVAL, |folder| folder.nlink() == 3)
    }
}

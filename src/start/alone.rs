//! Finds out whether a process has only one thread.

#![allow(unsafe_code)]

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

/// A folder with one link for each thread, and the two links that every folder has.
const TASKS: &str = "/proc/self/task";

/// Returns whether the calling thread is known to be the only one of its process.
pub(crate) fn is_alone() -> bool {
    match asked() {
        Ok(()) => true,
        Err(libc::EINVAL) => false,
        // A filter refuses the call, so count the threads in /proc.
        Err(_) => fs::metadata(TASKS).is_ok_and(|folder| folder.nlink() == 3),
    }
}

/// Returns whether the calling thread is known to be the only task that uses its memory. In a child of `call` or
/// `spawn` it is not.
pub(crate) fn has_own_memory() -> bool {
    // SAFETY: the call takes no pointers. If the kernel allows it, it changes nothing.
    unsafe { libc::unshare(libc::CLONE_VM) == 0 }
}

/// Asks for something that only a process of one thread may do, and that changes nothing there (`check_unshare_flags`
/// in the kernel's source).
fn asked() -> Result<(), i32> {
    // SAFETY: the call takes no pointers.
    match unsafe { libc::unshare(libc::CLONE_THREAD) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error().raw_os_error().unwrap_or(0)),
    }
}

/// Finds out the same in a child that shares its parent's memory.
#[derive(Debug)]
pub(crate) struct Alone {
    /// Some if the kernel does not answer the question. Then a filter refuses it, or the kernel is older than 4.3 and
    /// takes such a child for several threads. It is opened early, because the closure may go to a place without /proc.
    tasks: Option<File>,
}

impl Alone {
    /// Prepares the question. The child calls it before it can have made a thread.
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
        // If neither of the two answers, the truth cannot be known: see docs/LIMITS.md.
        folder.map_or(errno != libc::EINVAL, |folder| folder.nlink() == 3)
    }
}

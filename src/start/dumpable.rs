//! Makes the memory dumpable again after a child.
//!
//! When a task changes its credentials, the kernel makes its memory undumpable: there are no core dumps, and its files
//! in /proc belong to root. If the memory is shared, this affects the parent as well. So the parent restores the flag
//! when the last child is gone. It must not do so before, because a child with another user's ids must not be traceable
//! by that user.

#![allow(unsafe_code)]

use super::kernel_signals::Mask;
use crate::{CloneFlags, Error};
use std::cell::Cell;
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// The number of children that share this memory. These are atomics and not a lock, so that a fork(3) at any moment
/// leaves no lock held.
static CHILDREN: AtomicU32 = AtomicU32::new(0);
/// Whether one of the children has changed its credentials, and the memory was dumpable before.
static LOST: AtomicBool = AtomicBool::new(false);

/// The number of children that began while the memory was dumpable. If it is 0 and [`LOST`] is false, the flag is as
/// the program wants it.
static WATCHED: AtomicU32 = AtomicU32::new(0);
/// The number of children for which [`Dumpable::restore`] runs just now.
static RESTORING: AtomicU32 = AtomicU32::new(0);
/// How often [`Dumpable::restore`] has run for a child that may have hidden the memory.
static HIDERS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// How many of the [`HIDERS`] were children of this thread.
    static OWN: Cell<u32> = const { Cell::new(0) };
}

/// Makes the attempt again if a file in /proc was refused because the children of other threads had hidden the memory,
/// and with it that file.
pub(crate) fn retry_if_hidden<T>(mut attempt: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
    const MOST: Duration = Duration::from_millis(100);
    let mut pause = Duration::from_micros(20);
    let others = || HIDERS.load(SeqCst).wrapping_sub(OWN.get());
    loop {
        let before = others();
        let error = match attempt() {
            Err(error) if error.is_of_a_file_in_proc() && pause < MOST => error,
            done => return done,
        };
        let is_hidden = !is_dumpable() && (WATCHED.load(SeqCst) != 0 || LOST.load(SeqCst));
        // The order matters: `restore` raises HIDERS before it lowers RESTORING.
        if !is_hidden && RESTORING.load(SeqCst) == 0 && others() == before {
            return Err(error);
        }
        thread::sleep(pause);
        pause *= 2;
    }
}

/// Returns whether the memory may be dumped by its user: PR_GET_DUMPABLE is 1.
pub(crate) fn is_dumpable() -> bool {
    // SAFETY: the call takes no pointers.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) == 1 }
}

fn set(dumpable: c_int) {
    // SAFETY: the call takes no pointers.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, dumpable) };
}

/// Returns whether the memory has to be hidden from the child's birth on. The owner of a user namespace may trace every
/// process in it. If the owner is root, it may have processes with fewer capabilities than the caller.
pub(crate) fn hides_from_owner(flags: CloneFlags) -> bool {
    flags.contains(CloneFlags::NEWUSER) && is_root()
}

pub(crate) fn is_root() -> bool {
    // SAFETY: the call takes no arguments.
    unsafe { libc::geteuid() == 0 }
}

/// Returns the effective uid and gid of the calling thread.
fn ids() -> (u32, u32) {
    // SAFETY: the calls take no arguments.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// The state for one child, from before it is made until it is gone.
#[derive(Debug)]
pub(crate) struct Dumpable {
    before: bool,
    /// The parent's ids.
    ids: (u32, u32),
}

impl Dumpable {
    /// Begins the state for a child. With `hides` the memory is not dumpable from now on.
    pub(crate) fn watch(hides: bool) -> Self {
        CHILDREN.fetch_add(1, SeqCst);
        // Read the ids first. If another thread calls set*id meanwhile, the flag changes no later than the ids of this
        // thread. So if the flag is still set, these ids are the old ones, and `restore` sees the change.
        let ids = ids();
        let before = is_dumpable();
        WATCHED.fetch_add(u32::from(before), SeqCst);
        if hides && before {
            set(0);
        }
        Self { before, ids }
    }

    /// Returns whether the calling child has changed its credentials. The child calls it at its end. When credentials
    /// change, the kernel clears the signal at the parent's death as well as the flag.
    pub(crate) fn is_lost() -> bool {
        let mut signal: c_int = libc::SIGKILL;
        // SAFETY: `signal` has room for the signal.
        unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal) };
        signal == 0
    }

    /// Makes the memory dumpable again if this was the last child. The parent calls it when the child is gone. If the
    /// program has changed its own ids since this child began, the memory stays undumpable, because it may hold what
    /// the new user must not see. For each child, the ids at its beginning and at its end are compared.
    pub(crate) fn restore(self, lost: bool) {
        // Another thread's set*id changes the ids of this thread in a signal handler. The handler must not run between
        // reading the ids and acting on them.
        let mut mask = None;
        RESTORING.fetch_add(1, SeqCst);
        let mut has_hidden = lost || LOST.load(SeqCst);
        if has_hidden {
            mask = Mask::block_all().ok();
            if self.ids != ids() {
                LOST.store(false, SeqCst);
            } else if lost && self.before {
                LOST.store(true, SeqCst);
            }
        }
        CHILDREN.fetch_sub(1, SeqCst);
        WATCHED.fetch_sub(u32::from(self.before), SeqCst);
        while CHILDREN.load(SeqCst) == 0 && LOST.load(SeqCst) {
            // This is the last child, so it restores the flag. It may be another child that has set LOST, just now.
            has_hidden = true;
            mask = mask.or_else(|| Mask::block_all().ok());
            if !LOST.swap(false, SeqCst) || self.ids != ids() {
                break;
            }
            set(1);
            // A child that was made meanwhile may have other credentials by now. Then the last child restores the flag.
            if CHILDREN.load(SeqCst) == 0 {
                break;
            }
            set(0);
            LOST.store(true, SeqCst);
        }
        if let Some(mask) = mask {
            mask.restore();
        }
        if has_hidden {
            HIDERS.fetch_add(1, SeqCst);
            OWN.set(OWN.get().wrapping_add(1));
        }
        RESTORING.fetch_sub(1, SeqCst);
    }
}

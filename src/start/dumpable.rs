//! When a task changes its credentials, the kernel makes its memory undumpable: no core dumps, and its files in /proc belong
//! to root. With shared memory that hits the parent, too. So it is put right when the last child is gone, and not before: a
//! child with another user's ids must not be traceable by that user.

#![allow(unsafe_code)]

use super::kernel_signals::Mask;
use crate::{CloneFlags, Error};
use std::cell::Cell;
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

/// The children that share this memory. Atomics and no lock, so that a fork(3) at any moment leaves none locked.
static CHILDREN: AtomicU32 = AtomicU32::new(0);
/// Whether the memory was dumpable before one of them changed its credentials.
static LOST: AtomicBool = AtomicBool::new(false);

/// Those of the children before whom the memory was dumpable. While there are none, and it is not lost, it is as the program
/// wants it.
static WATCHED: AtomicU32 = AtomicU32::new(0);
/// Those that are just being restored from.
static RESTORING: AtomicU32 = AtomicU32::new(0);
/// How often a child that may have hidden the memory was restored from.
static HIDERS: AtomicU32 = AtomicU32::new(0);

thread_local! {
    /// How many of [`HIDERS`] this thread has started itself.
    static OWN: Cell<u32> = const { Cell::new(0) };
}

/// Makes the attempt again if a file in /proc was refused while the children of other threads hid the memory, and with it
/// that file.
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
        // In this order: what is restored meanwhile is counted before it is no longer being restored.
        if !is_hidden && RESTORING.load(SeqCst) == 0 && others() == before {
            return Err(error);
        }
        thread::sleep(pause);
        pause *= 2;
    }
}

/// PR_GET_DUMPABLE: 1 where the memory may be dumped by its user.
pub(crate) fn is_dumpable() -> bool {
    // SAFETY: no pointers.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) == 1 }
}

fn set(dumpable: c_int) {
    // SAFETY: no pointers.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, dumpable) };
}

/// Whether the memory has to be hidden from a child's birth on: the owner of a user namespace may trace whatever is in it, and
/// other processes of root's may have fewer capabilities than the caller.
pub(crate) fn hides_from_owner(flags: CloneFlags) -> bool {
    flags.contains(CloneFlags::NEWUSER) && is_root()
}

pub(crate) fn is_root() -> bool {
    // SAFETY: no arguments to get wrong.
    unsafe { libc::geteuid() == 0 }
}

/// The effective uid and gid of the calling thread.
fn ids() -> (u32, u32) {
    // SAFETY: no arguments to get wrong.
    unsafe { (libc::geteuid(), libc::getegid()) }
}

/// One child, from before it is made until it is gone.
#[derive(Debug)]
pub(crate) struct Dumpable {
    before: bool,
    /// The parent's.
    ids: (u32, u32),
}

impl Dumpable {
    /// `hides`: the memory is not dumpable from now on.
    pub(crate) fn watch(hides: bool) -> Self {
        CHILDREN.fetch_add(1, SeqCst);
        // The ids first: set*id of another thread changes them in this one before it is done, and the flag with them.
        let ids = ids();
        let before = is_dumpable();
        WATCHED.fetch_add(u32::from(before), SeqCst);
        if hides && before {
            set(0);
        }
        Self { before, ids }
    }

    /// In the child, at its end: whether its credentials have changed. The kernel clears the one with the other.
    pub(crate) fn is_lost() -> bool {
        let mut signal: c_int = libc::SIGKILL;
        // SAFETY: a place for the signal.
        unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal) };
        signal == 0
    }

    /// In the parent, when the child is gone. A program that has changed its own ids meanwhile stays as it is: its memory
    /// may hold what its new user must not see. Each child looks for that in its own time.
    pub(crate) fn restore(self, lost: bool) {
        // set*id of another thread reaches this one by a signal, which must not come between a look at the ids and what
        // follows from it.
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
            // Another child was lost just now, and left it to this one, the last.
            has_hidden = true;
            mask = mask.or_else(|| Mask::block_all().ok());
            if !LOST.swap(false, SeqCst) || self.ids != ids() {
                break;
            }
            set(1);
            // A child that was made meanwhile may have other credentials by now. The last one puts it right.
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

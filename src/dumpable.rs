//! Changed credentials make the memory of a task undumpable: no core dumps, and root's files in /proc. Where children
//! share memory, that is their parent's as well. So it is put right when the last of them is gone; while one lives, it may
//! have another user's ids, and nobody of that user may trace it.

#![allow(unsafe_code)]

use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::SeqCst};

/// The children that share this memory. Atomics and no lock, so that a fork(3) at any moment leaves none locked.
static CHILDREN: AtomicU32 = AtomicU32::new(0);
/// Whether the memory was dumpable before one of them changed its credentials.
static LOST: AtomicBool = AtomicBool::new(false);

/// PR_GET_DUMPABLE: 1 where the memory may be dumped by its user.
pub(crate) fn is_dumpable() -> bool {
    // SAFETY: no pointers.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE) == 1 }
}

fn set(dumpable: c_int) {
    // SAFETY: no pointers.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, dumpable) };
}

/// One child, from before it is made until it is gone.
#[derive(Debug)]
pub(crate) struct Dumpable {
    before: bool,
}

impl Dumpable {
    pub(crate) fn watch() -> Self {
        CHILDREN.fetch_add(1, SeqCst);
        Self { before: is_dumpable() }
    }

    /// In the child, at its end: whether its credentials have changed. The kernel clears the one with the other.
    pub(crate) fn is_lost() -> bool {
        let mut signal: c_int = libc::SIGKILL;
        // SAFETY: a place for the signal.
        unsafe { libc::prctl(libc::PR_GET_PDEATHSIG, &raw mut signal) };
        signal == 0
    }

    pub(crate) fn restore(self, lost: bool) {
        if lost && self.before {
            LOST.store(true, SeqCst);
        }
        if CHILDREN.fetch_sub(1, SeqCst) == 1 && LOST.swap(false, SeqCst) {
            set(1);
            // A child that was made meanwhile may have other credentials by now. The last one puts it right.
            if CHILDREN.load(SeqCst) != 0 {
                set(0);
                LOST.store(true, SeqCst);
            }
        }
    }
}

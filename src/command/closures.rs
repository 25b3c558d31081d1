//! The closures that a child runs before its program.

#![allow(unsafe_code)]

use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::fmt;
use std::io;

type Closure = Box<dyn FnMut() -> io::Result<()> + Send + Sync>;

/// What they need is the child's alone, while its parent sleeps.
#[derive(Default)]
pub(super) struct Closures {
    all: UnsafeCell<Vec<Closure>>,
    error: UnsafeCell<Option<io::Error>>,
}

// SAFETY: a shared reference is used by the child of a `&mut Command` alone.
unsafe impl Sync for Closures {}

impl Closures {
    pub(super) fn push(&mut self, closure: Closure) {
        self.all.get_mut().push(closure);
    }

    pub(super) fn is_empty(&mut self) -> bool {
        self.all.get_mut().is_empty()
    }

    /// In the child. An errno, or 0.
    ///
    /// # Safety
    ///
    /// The parent sleeps, and holds the `Command` exclusively.
    pub(super) unsafe fn run(&self) -> c_int {
        // std ends a program whose drop panics while it unwinds.
        struct Abort;
        impl Drop for Abort {
            fn drop(&mut self) {
                std::process::abort();
            }
        }
        let abort = Abort;
        // SAFETY: the caller's promise.
        let (all, place) = unsafe { (&mut *self.all.get(), &mut *self.error.get()) };
        let mut errno = 0;
        for closure in all {
            if let Err(error) = closure() {
                errno = error.raw_os_error().unwrap_or(libc::EINVAL);
                *place = Some(error);
                break;
            }
        }
        std::mem::forget(abort);
        errno
    }

    /// What the one that failed said.
    pub(super) fn error(&mut self) -> Option<io::Error> {
        self.error.get_mut().take()
    }
}

impl fmt::Debug for Closures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closures")
    }
}

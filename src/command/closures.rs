//! The closures that a child runs before its program.

#![allow(unsafe_code)]

use std::any::Any;
use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

type Closure = Box<dyn FnMut() -> io::Result<()> + Send + Sync>;

/// While they run, only the child uses them: its parent sleeps.
#[derive(Default)]
pub(super) struct Closures {
    all: UnsafeCell<Vec<Closure>>,
    error: UnsafeCell<Option<io::Error>>,
    panic: UnsafeCell<Option<Box<dyn Any + Send>>>,
}

/// In place of an errno.
pub(super) const PANICKED: c_int = -1;

// SAFETY: `run` is the only method that uses a cell through `&self`, and its caller promises that nobody else does.
unsafe impl Sync for Closures {}

impl Closures {
    pub(super) fn push(&mut self, closure: Closure) {
        self.all.get_mut().push(closure);
    }

    pub(super) fn is_empty(&mut self) -> bool {
        self.all.get_mut().is_empty()
    }

    /// An errno, 0, or [`PANICKED`].
    ///
    /// # Safety
    ///
    /// Nobody else uses the `Command`: in a child, because its parent sleeps, and holds it exclusively.
    pub(super) unsafe fn run(&self) -> c_int {
        // SAFETY: the caller's promise. What an earlier start has left is another error's.
        let (all, error, panic) =
            unsafe { (&mut *self.all.get(), &mut *self.error.get(), &mut *self.panic.get()) };
        (*error, *panic) = (None, None);
        for closure in all {
            // Panics are counted in thread-local storage, which is the parent's. If this one ended the child uncaught, the
            // parent's thread would count as panicking for ever.
            match catch_unwind(AssertUnwindSafe(closure)) {
                Ok(Ok(())) => {}
                Ok(Err(reason)) => {
                    let errno = reason.raw_os_error().unwrap_or(libc::EINVAL);
                    *error = Some(reason);
                    return errno;
                }
                Err(payload) => {
                    *panic = Some(payload);
                    return PANICKED;
                }
            }
        }
        0
    }

    /// The error of the closure that failed.
    pub(super) fn error(&mut self) -> Option<io::Error> {
        self.error.get_mut().take()
    }

    pub(super) fn panic(&mut self) -> Option<Box<dyn Any + Send>> {
        self.panic.get_mut().take()
    }
}

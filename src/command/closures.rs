//! The closures that a child runs before its program.

#![allow(unsafe_code)]

use std::any::Any;
use std::cell::UnsafeCell;
use std::ffi::c_int;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

type Closure = Box<dyn FnMut() -> io::Result<()> + Send + Sync>;

/// The closures of a `Command`, and how they ended. While they run, only the child uses this value, because its parent
/// sleeps.
#[derive(Default)]
pub(super) struct Closures {
    all: UnsafeCell<Vec<Closure>>,
    error: UnsafeCell<Option<io::Error>>,
    panic: UnsafeCell<Option<Box<dyn Any + Send>>>,
}

/// The result of [`Closures::run`] after a panic, in place of an errno.
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

    /// Runs all closures. Returns an errno, 0 or [`PANICKED`].
    ///
    /// # Safety
    ///
    /// Nobody else may use the `Command` meanwhile. In a child this holds because the parent sleeps and has exclusive
    /// access to the `Command`.
    pub(super) unsafe fn run(&self) -> c_int {
        // SAFETY: the caller promises that nobody else uses the cells.
        let (all, error, panic) =
            unsafe { (&mut *self.all.get(), &mut *self.error.get(), &mut *self.panic.get()) };
        // An earlier start may have left them.
        (*error, *panic) = (None, None);
        for closure in all {
            // Panics are counted in thread-local storage, which belongs to the parent. If nothing caught this panic
            // before it ended the child, the parent's thread would count as panicking for ever.
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

    /// Takes the error of the closure that failed.
    pub(super) fn error(&mut self) -> Option<io::Error> {
        self.error.get_mut().take()
    }

    pub(super) fn panic(&mut self) -> Option<Box<dyn Any + Send>> {
        self.panic.get_mut().take()
    }
}

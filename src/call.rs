//! `call`: a closure in a child that has the caller's memory, while the caller sleeps.

#![allow(unsafe_code)]

use crate::task::Task;
use crate::{Builder, CloneFlags, Error};
use std::panic::resume_unwind;

impl Builder<'_> {
    /// Runs `f` in a child process that shares the caller's memory and has namespaces, cgroup and the
    /// like of its own, and returns what `f` returns.
    ///
    /// Like a plain function call: `f` may borrow, its value comes back as it is, its panic goes on in
    /// the caller, it runs on the caller's stack and as the caller's thread, with its thread-locals
    /// and its locks. Nothing is allocated, unless there are maps of ids. The caller's thread sleeps until
    /// the child is gone, and threads that `f` started in it are, too; other threads run on.
    ///
    /// # Ends
    ///
    /// If `f` neither returns nor panics, the program ends as it does when a thread does the same: with
    /// the status that the child exited with, or, if the child is killed or executes another program,
    /// by `SIGABRT` after a line on stderr.
    ///
    /// # Errors
    ///
    /// The closure has not run: flags that exclude each other (stage [`Flags`](crate::Stage::Flags)),
    /// an emulator that copies the memory, a caller that is about to enter another pid namespace, or
    /// the kernel's refusal, with the errno of clone(2).
    ///
    /// # Panics
    ///
    /// With the panic of `f`; where panics abort, that is the program's end.
    ///
    /// ```
    /// use clone_trampoline::Builder;
    ///
    /// let words = ["shared", "memory"];
    /// match Builder::new().call(|| (std::process::id(), words.concat())) {
    ///     Ok((pid, joined)) => {
    ///         assert_ne!(pid, std::process::id());
    ///         assert_eq!(joined, "sharedmemory");
    ///     }
    ///     Err(error) => println!("{error}"),
    /// }
    /// ```
    pub fn call<F, R>(&self, f: F) -> Result<R, Error>
    where
        F: FnOnce() -> R,
    {
        let mut args = self.sharing_memory()?;
        args.flags |= CloneFlags::VFORK.bits();
        let mut task = Task::new(|_| f(), self.maps.clone(), self.assume_no_threads);
        // SAFETY: with VFORK this thread sleeps until the child has ended or executes another
        // program; until then the child has its stack, below this frame, and its TLS.
        let result = unsafe { task.run(&args, |_| ()) }?;
        Ok(result.unwrap_or_else(|payload| resume_unwind(payload)))
    }
}

/// [`Builder::call`] with the defaults.
///
/// # Errors
///
/// As [`Builder::call`].
///
/// ```
/// let mut variable = 10;
/// if clone_trampoline::call(|| variable = 5).is_ok() {
///     assert_eq!(variable, 5);
/// }
/// ```
pub fn call<F, R>(f: F) -> Result<R, Error>
where
    F: FnOnce() -> R,
{
    Builder::new().call(f)
}

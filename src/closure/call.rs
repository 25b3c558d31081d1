//! `call`: a closure in a child that has the caller's memory, while the caller sleeps.

#![allow(unsafe_code)]

use super::task::Task;
use crate::start::Stack;
use crate::start::alone::is_alone;
use crate::start::pending;
use crate::start::probe::pid_namespace;
use crate::start::why::no_thread;
use crate::{Builder, CloneFlags, Error};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

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
    /// the status that the child exited with. If the child is killed, executes another program, or has its
    /// status taken by somebody else, the program ends by `SIGABRT` after a line on stderr.
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
        if !self.allow_pid_namespace {
            // S3, before there is a child whose end would ignore SIGCHLD.
            if pending::pid_namespace() == Some(true) {
                return Err(pid_namespace());
            }
            if args.flags & CloneFlags::SIGHAND.bits() == 0 {
                install_libcs_handlers()?;
            }
        }
        let mut task = Task::new(|_| f(), self.maps.clone(), self.allow_pid_namespace, false);
        let stack = if is_alone() {
            // There is no other thread that could take the signals which waiting otherwise blocks, and none that set*id
            // would make wait.
            args.flags |= CloneFlags::VFORK.bits();
            Stack::InArgs
        } else {
            Stack::BelowCaller
        };
        // SAFETY: the flags of `sharing_memory`, with VFORK or a stack of this thread's own.
        let result = unsafe { task.run(&args, stack, |_| ()) }?;
        Ok(result.unwrap_or_else(|payload| resume_unwind(payload)))
    }
}

/// glibc installs the handlers of its own signals with the first thread of the program, and remembers it in memory. A
/// child with a table of handlers of its own must not be the one that makes this thread.
fn install_libcs_handlers() -> Result<(), Error> {
    static INSTALLED: AtomicBool = AtomicBool::new(!cfg!(target_env = "gnu"));
    if !INSTALLED.load(Ordering::Relaxed) {
        match thread::Builder::new().spawn(|| ()) {
            Ok(thread) => {
                _ = thread.join();
                INSTALLED.store(true, Ordering::Relaxed);
            }
            // a limit that may be gone in a moment
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => return Err(no_thread(&error)),
            // Where a filter refuses it here, the child cannot make one either.
            Err(_) => {}
        }
    }
    Ok(())
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

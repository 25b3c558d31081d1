//! `call` runs a closure in a child that has the caller's memory, while the caller sleeps.

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
    /// Runs `f` in a child process and returns its value. The child shares the caller's memory, and can have its own
    /// namespaces, cgroup and the like.
    ///
    /// This is like a plain function call. `f` may borrow, its value comes back as it is, and its panic goes on in the
    /// caller. `f` runs on the caller's stack and as the caller's thread, with its thread-locals and its locks. Nothing
    /// is allocated, unless there are maps of ids. The caller's thread sleeps until the child and all threads that `f`
    /// has started in it are gone. Other threads run on.
    ///
    /// To enter a namespace that is already there, call setns(2) in the closure. Only the child changes:
    ///
    /// ```no_run
    /// use clone_trampoline::Builder;
    /// use std::fs::File;
    /// use std::io;
    /// use std::net::UdpSocket;
    /// use std::os::fd::AsRawFd;
    ///
    /// let network = File::open("/run/netns/blue")?;
    /// let socket = Builder::new().call(|| {
    ///     // SAFETY: the descriptor is open.
    ///     match unsafe { libc::setns(network.as_raw_fd(), libc::CLONE_NEWNET) } {
    ///         0 => UdpSocket::bind("0.0.0.0:53"),
    ///         _ => Err(io::Error::last_os_error()),
    ///     }
    /// })??;
    /// # _ = socket;
    /// # Ok::<(), io::Error>(())
    /// ```
    ///
    /// For a mount namespace, add [`share_fs(false)`](Self::share_fs).
    ///
    /// # Ends
    ///
    /// If `f` neither returns nor panics, the program ends as if one of its threads had done the same. If the child
    /// exits, the program ends with that status. If the child is killed or executes another program, or if other code
    /// takes its status, the program writes a line to stderr and ends by `SIGABRT`.
    ///
    /// # Errors
    ///
    /// If there is an error, the closure has not run. The flags may exclude each other (stage
    /// [`Flags`](crate::Stage::Flags)), an emulator may copy the memory, or the caller's children may be about to enter
    /// another pid namespace. Or the kernel refuses the start, with the errno of clone(2).
    ///
    /// # Panics
    ///
    /// If `f` panics, its panic goes on in the caller. If panics abort, they end the program.
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
            // S3. Check this before there is a child. If the child is the init of a pid namespace, its end makes
            // SIGCHLD ignored.
            if pending::pid_namespace() == Some(true) {
                return Err(pid_namespace());
            }
            if args.flags & CloneFlags::SIGHAND.bits() == 0 {
                install_libcs_handlers()?;
            }
        }
        let mut task = Task::new(|_| f(), self.maps.clone(), self.allow_pid_namespace, false);
        let stack = if is_alone() {
            // No other thread could take the signals that this thread blocks when it waits without VFORK. And no other
            // thread can call set*id, which would have to wait for a thread that sleeps in VFORK.
            args.flags |= CloneFlags::VFORK.bits();
            Stack::InArgs
        } else {
            Stack::BelowCaller
        };
        // SAFETY: these are the flags of `sharing_memory`, with VFORK or with a part of this thread's stack.
        let result = unsafe { task.run(&args, stack, |_| ()) }?;
        Ok(result.unwrap_or_else(|payload| resume_unwind(payload)))
    }
}

/// glibc installs the handlers of its own signals with the first thread of the program, and remembers that in memory. A
/// child with its own table of handlers must not be the one that makes this thread.
fn install_libcs_handlers() -> Result<(), Error> {
    static INSTALLED: AtomicBool = AtomicBool::new(!cfg!(target_env = "gnu"));
    if !INSTALLED.load(Ordering::Relaxed) {
        match thread::Builder::new().spawn(|| ()) {
            Ok(thread) => {
                _ = thread.join();
                INSTALLED.store(true, Ordering::Relaxed);
            }
            // The cause is a limit, which may be gone in a moment.
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) => return Err(no_thread(&error)),
            // If a filter refuses the thread here, the child cannot make one either.
            Err(_) => {}
        }
    }
    Ok(())
}

/// Runs `f` as [`Builder::call`] does, with the defaults.
///
/// # Errors
///
/// The errors are those of [`Builder::call`].
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

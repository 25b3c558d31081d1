//! `fork`: a closure in a child that has a copy of the caller's memory, beside the caller.

#![allow(unsafe_code)]

use crate::start::why::explain;
use crate::start::{Stack, start};
use crate::{Builder, Child, CloneFlags, Error, Stage};
use std::ffi::{c_int, c_void};
use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;

impl Builder<'_> {
    /// Runs `f` in a child process that has a copy of the caller's memory, beside the caller, and ends
    /// it with what `f` returns, of which the kernel keeps eight bits.
    ///
    /// A panic of `f` ends the child with 101, after the panic hook. No atexit handler runs in it. It
    /// sends `SIGCHLD` when it ends, and has to be waited for. When its handle is dropped, it goes on.
    ///
    /// Without flags and cgroup this is fork(3) of libc, which makes libc's own locks usable in the
    /// child and runs the handlers of pthread_atfork(3). Otherwise it is clone(2) or clone3(2), which
    /// do neither; then glibc's cache of the thread's tid is put right (if the kernel has
    /// `CONFIG_CHECKPOINT_RESTORE`), and musl's is not: there gettid(2) of libc, raise(3) and recursive
    /// locks in the child take it for its parent.
    ///
    /// # Errors
    ///
    /// Those of fork(2), clone(2) or clone3(2), and flags that exclude each other. Stage
    /// [`Pidfd`](Stage::Pidfd), after fork(3): there is no pidfd (Linux 5.3), or no file descriptor
    /// for one; then `f` may have begun, and the child has been killed.
    ///
    /// # Safety
    ///
    /// The child has one thread, the copy of this one. If the program has other threads, `f` must not
    /// wait for anything that one of them may have held at that moment: a lock stays locked for ever, and
    /// the data it guards may be half changed. With flags or a cgroup that includes the locks of
    /// malloc and stdio, so that `f` then does only what signal-safety(7) allows, and does not panic. `f`
    /// must bear that everything which the caller owns exists twice: a file descriptor, a
    /// temporary file that a destructor deletes, a random generator's state.
    ///
    /// ```
    /// use clone_trampoline::Builder;
    ///
    /// // SAFETY: the closure takes no lock and owns nothing.
    /// let mut child = unsafe { Builder::new().without_pidfd().fork(|| 7) }?;
    /// assert_eq!(child.wait()?.code(), Some(7));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    ///
    /// ```compile_fail,E0133
    /// clone_trampoline::Builder::new().fork(|| 7);
    /// ```
    pub unsafe fn fork<F>(&self, f: F) -> Result<Child, Error>
    where
        F: FnOnce() -> i32,
    {
        let mut args = self.copying_memory()?;
        let mut f = Some(f);
        let f = ptr::from_mut(&mut f).cast();
        if args.flags == 0 {
            // SAFETY: libc's fork; the closure is the caller's promise.
            return match unsafe { libc::fork() } {
                -1 => {
                    let error = io::Error::last_os_error();
                    let hint = explain(CloneFlags::empty(), error.raw_os_error().unwrap_or(0));
                    Err(Error::from_io(Stage::Fork, &error).with_hint(hint))
                }
                0 => {
                    // SAFETY: the copy of the option above.
                    unsafe { live::<F>(f) };
                    unreachable!("the child has ended")
                }
                pid => with_pidfd(Child::new(pid, None), self.pidfd),
            };
        }
        let mut pidfd: c_int = -1;
        if self.pidfd {
            args.flags |= CloneFlags::PIDFD.bits();
            args.pidfd = ptr::from_mut(&mut pidfd).expose_provenance() as u64;
        }
        if let Some(word) = cached_tid() {
            args.flags |= CloneFlags::CHILD_SETTID.bits();
            args.child_tid = word.expose_provenance() as u64;
        }
        // SAFETY: the child runs on a copy of this stack, with a copy of the closure; the word of
        // CHILD_SETTID is libc's in the child's own memory; the rest is the caller's promise.
        let pid = unsafe { start(&args, Stack::InArgs, live::<F>, f) }?;
        if pidfd >= 0 {
            // SAFETY: the kernel has opened it, and nobody else knows of it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            return Ok(Child::new(pid, Some(pidfd)));
        }
        // Not asked for, or not there before Linux 5.2.
        with_pidfd(Child::new(pid, None), self.pidfd)
    }
}

/// Opens the pidfd of a child that was born without one.
fn with_pidfd(mut child: Child, wanted: bool) -> Result<Child, Error> {
    if !wanted {
        return Ok(child);
    }
    // SAFETY: no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
    if fd == -1 {
        let error = io::Error::last_os_error();
        // With SIGCHLD ignored, or a thread that waits for any child, it may have come to its end and be gone.
        if child.is_there().is_err() {
            child.is_gone();
            return Ok(child);
        }
        _ = child.kill();
        _ = child.wait();
        return Err(Error::from_io(Stage::Pidfd, &error));
    }
    // SAFETY: a new file descriptor.
    child.set_pidfd(unsafe { OwnedFd::from_raw_fd(fd as c_int) });
    // If the child was gone before pidfd_open, this descriptor may be another process's.
    if child.is_there().is_err() {
        child.is_gone();
    }
    Ok(child)
}

/// [`Builder::fork`] with the defaults: fork(3), with a pidfd.
///
/// # Errors
///
/// As [`Builder::fork`].
///
/// # Safety
///
/// As [`Builder::fork`].
///
/// ```
/// // SAFETY: the closure takes no lock and owns nothing.
/// let mut child = unsafe { clone_trampoline::fork(|| 7) }?;
/// assert_eq!(child.wait()?.code(), Some(7));
/// # Ok::<(), std::io::Error>(())
/// ```
pub unsafe fn fork<F>(f: F) -> Result<Child, Error>
where
    F: FnOnce() -> i32,
{
    // SAFETY: the caller's promise.
    unsafe { Builder::new().fork(f) }
}

/// The child's whole life: it does not return into the caller's frames, of which it has a copy.
unsafe extern "C" fn live<F: FnOnce() -> i32>(f: *mut c_void) -> c_int {
    // SAFETY: `fork` passes its closure, of which this child has a copy of its own.
    let f = unsafe { &mut *f.cast::<Option<F>>() }.take();
    let code = f.map_or(101, |f| catch_unwind(AssertUnwindSafe(f)).unwrap_or(101));
    // SAFETY: ends this process, with all threads that the closure made, and without the atexit
    // handlers, which are the parent's.
    unsafe { libc::_exit(code) }
}

/// Where glibc keeps the tid of the calling thread: the word that the kernel clears at its end. Not
/// in musl, where that word is a lock.
fn cached_tid() -> Option<*mut c_int> {
    if !cfg!(target_env = "gnu") {
        return None;
    }
    // A 64-bit kernel stores 64 bits for a 32-bit program, too: big-endian ones find it in the second word.
    let mut word = [ptr::null_mut::<c_int>(); 2];
    // SAFETY: a place for the pointer; the word lies in the TLS of this thread, or is null.
    unsafe {
        libc::prctl(libc::PR_GET_TID_ADDRESS, word.as_mut_ptr());
        let tid = libc::syscall(libc::SYS_gettid) as c_int;
        word.into_iter().find(|word| !word.is_null() && word.read() == tid)
    }
}

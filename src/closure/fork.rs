//! `fork` runs a closure in a child that has a copy of the caller's memory, beside the caller.

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
    /// Runs `f` beside the caller, in a child process that has a copy of the caller's memory. The value of `f` is the
    /// child's exit status, and the kernel keeps eight bits of it.
    ///
    /// If `f` panics, the panic hook runs, and the child ends with 101. No atexit handler runs in the child. The child
    /// sends `SIGCHLD` when it ends, and has to be waited for. If its handle is dropped, it runs on.
    ///
    /// Without flags and a cgroup this is fork(3) of libc. It makes libc's own locks usable in the child and runs the
    /// handlers of pthread_atfork(3). Otherwise it is clone(2) or clone3(2), which do neither. Then the crate corrects
    /// glibc's cache of the thread's tid (if the kernel has `CONFIG_CHECKPOINT_RESTORE`). It cannot correct that of
    /// musl, so in the child gettid(2) of libc, raise(3) and recursive locks use the tid of the parent's thread.
    ///
    /// # Errors
    ///
    /// The errors are those of fork(2), clone(2) or clone3(2), and an error if flags exclude each other. After fork(3)
    /// there can be stage [`Pidfd`](Stage::Pidfd): the kernel has no pidfd (it needs Linux 5.3), or there is no file
    /// descriptor left. In that case `f` may have begun, and the child has been killed.
    ///
    /// # Safety
    ///
    /// The child has one thread, which is the copy of this one. If the program has other threads, `f` must not wait for
    /// anything that one of them may have held at that moment. A lock stays locked for ever, and the data that it
    /// guards may be half changed. With flags or a cgroup, this includes the locks of malloc and stdio. Then `f` does
    /// only what signal-safety(7) allows, and does not panic. Everything that the caller owns exists twice, and `f`
    /// must allow for that: file descriptors, a temporary file that a destructor deletes, the state of a random
    /// generator.
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
            // SAFETY: this is libc's fork. The caller guarantees that the closure may run in its child.
            return match unsafe { libc::fork() } {
                -1 => {
                    let error = io::Error::last_os_error();
                    let hint = explain(CloneFlags::empty(), error.raw_os_error().unwrap_or(0));
                    Err(Error::from_io(Stage::Fork, &error).with_hint(hint))
                }
                0 => {
                    // SAFETY: `f` points to the child's copy of the option above.
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
        // SAFETY: the child runs on a copy of this stack, with a copy of the closure. CHILD_SETTID writes to a word of
        // libc's in the child's own memory. The caller guarantees the rest.
        let pid = unsafe { start(&args, Stack::InArgs, live::<F>, f) }?;
        if pidfd >= 0 {
            // SAFETY: the kernel has opened it, and no other code owns it.
            let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
            return Ok(Child::new(pid, Some(pidfd)));
        }
        // The pidfd was not asked for, or Linux is older than 5.2.
        with_pidfd(Child::new(pid, None), self.pidfd)
    }
}

/// Opens the pidfd of a child that was born without one, if it is wanted.
fn with_pidfd(mut child: Child, wanted: bool) -> Result<Child, Error> {
    if !wanted {
        return Ok(child);
    }
    // SAFETY: the call takes no pointers.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, child.id(), 0) };
    if fd == -1 {
        let error = io::Error::last_os_error();
        // If SIGCHLD is ignored, or a thread waits for any child, the child may have ended and be gone.
        if child.is_there().is_err() {
            child.is_gone();
            return Ok(child);
        }
        _ = child.kill();
        _ = child.wait();
        return Err(Error::from_io(Stage::Pidfd, &error));
    }
    // SAFETY: this is a new file descriptor.
    child.set_pidfd(unsafe { OwnedFd::from_raw_fd(fd as c_int) });
    // If the child was gone before pidfd_open, this descriptor may be that of another process.
    if child.is_there().is_err() {
        child.is_gone();
    }
    Ok(child)
}

/// Runs `f` as [`Builder::fork`] does, with the defaults: by fork(3), and with a pidfd.
///
/// # Errors
///
/// The errors are those of [`Builder::fork`].
///
/// # Safety
///
/// The conditions are those of [`Builder::fork`].
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
    // SAFETY: the caller guarantees this.
    unsafe { Builder::new().fork(f) }
}

/// Runs as the child, from its first step to its end. It never returns into its copy of the caller's frames.
unsafe extern "C" fn live<F: FnOnce() -> i32>(f: *mut c_void) -> c_int {
    // SAFETY: `fork` passes its closure, and this child has its own copy of it.
    let f = unsafe { &mut *f.cast::<Option<F>>() }.take();
    let code = f.map_or(101, |f| catch_unwind(AssertUnwindSafe(f)).unwrap_or(101));
    // SAFETY: the call ends this process, with all threads that the closure has made. The atexit handlers are the
    // parent's, and do not run.
    unsafe { libc::_exit(code) }
}

/// Returns the address at which glibc keeps the tid of the calling thread. The kernel clears that word when the thread
/// ends. In musl the kernel's word is a lock, so there is no such address.
fn cached_tid() -> Option<*mut c_int> {
    if !cfg!(target_env = "gnu") {
        return None;
    }
    // A 64-bit kernel stores 64 bits even for a 32-bit program. A big-endian program finds the address in the second
    // word.
    let mut word = [ptr::null_mut::<c_int>(); 2];
    // SAFETY: `word` has room for the pointer. The pointer is into the TLS of this thread, or null.
    unsafe {
        libc::prctl(libc::PR_GET_TID_ADDRESS, word.as_mut_ptr());
        let tid = libc::syscall(libc::SYS_gettid) as c_int;
        word.into_iter().find(|word| !word.is_null() && word.read() == tid)
    }
}

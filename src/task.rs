//! A task in its parent's memory: what it does first and last, and how its parent learns of its end.
//!
//! It runs on the TLS of one thread of its parent, which leaves it alone meanwhile. So libc and std
//! take it for that thread, and everything in here may use them.

#![allow(unsafe_code)]

use crate::end::{end_executed, end_like, executes_another_program, has_exited, wait, watch_exits};
use crate::id_map::{Gate, IdMaps};
use crate::probe::memory_is_shared;
use crate::raw::CloneArgs;
use crate::rseq::Rseq;
use crate::start::start;
use crate::{Error, Stage};
use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::thread;

/// What the two sides share, in the parent's frame. The child's alone while it lives.
pub(crate) struct Task<F, R> {
    /// The thread that starts it.
    parent: libc::pid_t,
    assume_no_threads: bool,
    rseq: Option<Rseq>,
    maps: IdMaps,
    /// Where the child waits for its maps, if it may not write them.
    gate: Option<Arc<Gate>>,
    /// What the child of a waiting thread takes over from it, beside its TLS.
    pub(crate) signals: Option<Signals>,
    /// Where the kernel stores the pidfd, if one is asked for.
    pub(crate) pidfd: Option<c_int>,
    /// None from the moment the child takes it.
    f: Option<F>,
    refusal: Option<Error>,
    /// What the end of a child that has refused may change, if it was the init of a pid namespace: the
    /// kernel then ignores SIGCHLD, in the table of handlers that the two share.
    sigchld: Option<libc::sigaction>,
    result: Option<thread::Result<R>>,
}

impl<F: FnOnce(Option<OwnedFd>) -> R, R> Task<F, R> {
    pub(crate) fn new(f: F, maps: IdMaps, assume_no_threads: bool) -> Self {
        Self {
            // SAFETY: no arguments to get wrong. Not gettid of libc, which may have the tid of the
            // thread whose TLS this is: a call inside a call.
            parent: unsafe { libc::syscall(libc::SYS_gettid) as libc::pid_t },
            assume_no_threads,
            rseq: Rseq::registered(),
            gate: (!maps.are_the_callers()).then(|| Arc::new(Gate::new(maps.clone()))),
            maps,
            signals: None,
            pidfd: None,
            f: Some(f),
            refusal: None,
            sigchld: None,
            result: None,
        }
    }

    /// Runs the closure in a child, and waits until the child is gone.
    ///
    /// `sleep` is called with its pid when the child exists, and returns when it has ended or executes
    /// another program.
    ///
    /// # Safety
    ///
    /// * `args` shares memory, gives the child a stack for as long as it lives, and has no exit signal.
    /// * The calling thread is asleep in the kernel while the child lives (`VFORK`), or `sleep` uses no
    ///   TLS, and no signal handler does.
    pub(crate) unsafe fn run(
        &mut self,
        args: &CloneArgs,
        sleep: impl FnOnce(libc::pid_t),
    ) -> Result<thread::Result<R>, Error> {
        let Some(gate) = self.gate.clone() else {
            // SAFETY: the caller's promise.
            return unsafe { self.run_alone(args, sleep) };
        };
        thread::scope(|scope| {
            let writer = thread::Builder::new().spawn_scoped(scope, || gate.serve());
            writer.map_err(|error| Error::from_io(Stage::Thread, &error))?;
            // SAFETY: the caller's promise.
            let result = unsafe { self.run_alone(args, sleep) };
            gate.close();
            result
        })
    }

    /// The same, without a thread that writes the maps.
    unsafe fn run_alone(
        &mut self,
        args: &CloneArgs,
        sleep: impl FnOnce(libc::pid_t),
    ) -> Result<thread::Result<R>, Error> {
        // A child that is the first in a pid namespace cannot be a trial: its end is the namespace's.
        if !self.assume_no_threads {
            memory_is_shared()?;
        }
        watch_exits();
        if let Some(rseq) = self.rseq {
            rseq.unregister().map_err(|error| Error::from_io(Stage::Rseq, &error))?;
        }
        let mut args = *args;
        if let Some(pidfd) = &mut self.pidfd {
            args.pidfd = ptr::from_mut(pidfd).expose_provenance() as u64;
        }
        // SAFETY: `live` uses nothing but the task, which lives until the child is gone and is not
        // looked at until then; the rest is the caller's promise.
        let started = unsafe { start(&args, Self::live, ptr::from_mut(self).cast()) };
        if let Ok(pid) = started {
            sleep(pid);
        }
        if let Some(rseq) = self.rseq {
            rseq.register();
        }
        self.outcome(started?)
    }

    /// What became of the child.
    fn outcome(&mut self, pid: libc::pid_t) -> Result<thread::Result<R>, Error> {
        if let Some(error) = self.refusal.take() {
            _ = wait(pid);
            if let Some(action) = self.sigchld {
                // SAFETY: what sigaction(2) returned.
                unsafe { libc::sigaction(libc::SIGCHLD, &action, ptr::null_mut()) };
            }
            return Err(error);
        }
        if self.result.is_none() && executes_another_program(pid) {
            end_executed(pid)
        }
        let status = wait(pid);
        let clean = match &status {
            Ok(status) => status.success(),
            Err(_) => self.result.is_some(),
        };
        match self.result.take() {
            Some(result) if clean && !has_exited(pid) => Ok(result),
            None if clean && self.f.is_some() => Err(not_shared()),
            // It has ended, in one way or another, and it was not by returning.
            _ => end_like(status, pid),
        }
    }

    /// The child's whole life.
    unsafe extern "C" fn live(task: *mut c_void) -> c_int {
        // SAFETY: `run` passes its task, which the parent leaves alone while the child lives.
        let task = unsafe { &mut *task.cast::<Self>() };
        // SAFETY: the kernel has opened it for this task, and nobody else knows of it.
        let pidfd = task.pidfd.filter(|&fd| fd >= 0).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        if let Err(error) = task.prepare() {
            task.refusal = Some(error);
            return 0;
        }
        if let Some(f) = task.f.take() {
            // What the closure leaves broken is its caller's to see: the panic goes on there.
            task.result = Some(catch_unwind(AssertUnwindSafe(|| f(pidfd))));
        }
        if let Some(rseq) = task.rseq {
            // If it fails: the end of the task unregisters it as well.
            _ = rseq.unregister();
        }
        0
    }

    /// All that must be right before the closure runs.
    fn prepare(&mut self) -> Result<(), Error> {
        if let Some(signals) = &self.signals {
            signals.take_over_stack();
        }
        self.die_with_parent()?;
        if self.pidfd == Some(-1) {
            return Err(Error::new(Stage::Pidfd, libc::ENOSYS, "a pidfd from birth needs Linux 5.2"));
        }
        if let Some(rseq) = self.rseq {
            rseq.register();
        }
        if let Some(signals) = &self.signals {
            signals.unblock();
        }
        match &self.gate {
            Some(gate) => gate.wait(),
            None => self.maps.write_own(),
        }
    }

    /// S6: the end of the parent, or of its memory, is the child's too. And S3: if the parent is in
    /// another pid namespace, it has no pid here.
    fn die_with_parent(&mut self) -> Result<(), Error> {
        // SAFETY: no pointers.
        let refused = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0;
        if refused {
            return Err(Error::from_io(Stage::ParentDeath, &io::Error::last_os_error()));
        }
        // SAFETY: no arguments to get wrong.
        let ppid = unsafe { libc::getppid() };
        if ppid == 0 && self.assume_no_threads {
            return Ok(());
        }
        if ppid == 0 {
            let mut action = MaybeUninit::uninit();
            // SAFETY: a place for the action.
            self.sigchld = unsafe {
                libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr());
                Some(action.assume_init())
            };
            return Err(pid_namespace());
        }
        // The parent may have ended, or executed another program, before the prctl: then that thread is
        // none of the process whose child this is.
        // SAFETY: signal 0 is only looked up.
        let gone = unsafe { libc::syscall(libc::SYS_tgkill, ppid, self.parent, 0) } == -1
            && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
        if gone {
            // SAFETY: ends this process, in which nothing has run and which nobody waits for.
            unsafe { libc::_exit(0) }
        }
        Ok(())
    }
}

/// S4: a child has ended without a trace of what it did.
pub(crate) fn not_shared() -> Error {
    Error::new(
        Stage::SharedMemory,
        libc::ENOSYS,
        "the child had a copy of the memory: an emulator (qemu-user, valgrind) or sandbox that makes a fork \
         of every clone",
    )
}

/// S3: the parent has no pid in the child's pid namespace.
pub(crate) fn pid_namespace() -> Error {
    Error::new(
        Stage::PidNamespace,
        libc::EINVAL,
        "the caller has called unshare(2) or setns(2) with a pid namespace, and tids of two of them \
         collide in shared memory; if this attempt was the first process there, nothing can be started \
         in it any more: use fork, or unshare after the call",
    )
}

/// What a thread lends to its child beside its TLS (S10): it has its signals blocked and no
/// alternate signal stack while the child lives.
#[derive(Clone, Copy)]
pub(crate) struct Signals {
    mask: libc::sigset_t,
    stack: libc::stack_t,
}

impl Signals {
    /// Takes them from the calling thread.
    pub(crate) fn lend() -> Self {
        let mut all = MaybeUninit::uninit();
        let mut mask = MaybeUninit::uninit();
        let mut stack = MaybeUninit::uninit();
        let none = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: places for what is stored. libc's set of all signals leaves out those that libc
        // itself needs: set*id of another thread waits until each thread has handled one. Its handler
        // may thus run on this thread. It does not touch errno, and takes the alternate stack if there is
        // one, which is the child's now: hence none.
        unsafe {
            libc::sigfillset(all.as_mut_ptr());
            libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), mask.as_mut_ptr());
            libc::sigaltstack(&none, stack.as_mut_ptr());
            Self { mask: mask.assume_init(), stack: stack.assume_init() }
        }
    }

    /// Gives them to the calling task: the child, and its parent afterwards.
    pub(crate) fn take_over_stack(&self) {
        // SAFETY: the stack that sigaltstack(2) returned for this thread. A disabled one is taken, too.
        unsafe { libc::sigaltstack(&self.stack, ptr::null_mut()) };
    }

    pub(crate) fn unblock(&self) {
        // SAFETY: the mask that pthread_sigmask(3) returned for this thread.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.mask, ptr::null_mut()) };
    }
}

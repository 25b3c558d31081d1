//! A task in its parent's memory: what it does first and last, and how its parent learns of its end.
//!
//! It runs on the TLS of one thread of its parent, which leaves it alone meanwhile. So libc and std
//! take it for that thread, and everything in here may use them.

#![allow(unsafe_code)]

use super::gate::Gate;
use super::rseq::Rseq;
use crate::raw::CloneArgs;
use crate::start::alone::Alone;
use crate::start::arch::NSIG;
use crate::start::dumpable::{Dumpable, hides_from_owner, retry_if_hidden};
use crate::start::end::{End, Pause, end_like, wait, wait_for_zero};
use crate::start::id_map::IdMaps;
use crate::start::kernel_signals::{KernelAction, set_mask};
use crate::start::probe::{memory_is_shared, not_shared, pid_namespace};
use crate::start::why::no_thread;
use crate::start::{Stack, reach_below, start};
use crate::{CloneFlags, Error, Stage};
use std::ffi::{c_int, c_void};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::thread;

/// What parent and child share. It lies in the parent's frame, and only the child touches it while the child lives.
pub(crate) struct Task<F, R> {
    /// The thread that starts it.
    parent: libc::pid_t,
    allow_pid_namespace: bool,
    rseq: Option<Rseq>,
    maps: IdMaps,
    /// Where the child waits for its maps, if it may not write them.
    gate: Option<Arc<Gate>>,
    /// What the child takes over from the waiting thread, beside its TLS.
    signals: Option<Signals>,
    /// Libc's own handlers, for a child whose table begins empty (`CLEAR_SIGHAND`).
    handlers: Option<LibcHandlers>,
    /// Where the kernel stores the pidfd, if one is asked for.
    pidfd: Option<c_int>,
    /// The closure, until the child takes it.
    f: Option<F>,
    refusal: Option<Error>,
    /// The parent's action for SIGCHLD, which it restores after a child that has refused. When the init of a pid namespace
    /// ends, the kernel ignores SIGCHLD in its table of handlers, and the two share that.
    sigchld: Option<libc::sigaction>,
    result: Option<thread::Result<R>>,
    /// The result is there, and the child's first thread is its last one: nothing but its own return can end it now.
    returned: bool,
    /// The child's first thread has changed its credentials.
    undumpable: bool,
}

impl<F: FnOnce(Option<OwnedFd>) -> R, R> Task<F, R> {
    pub(crate) fn new(f: F, maps: IdMaps, allow_pid_namespace: bool, pidfd: bool) -> Self {
        Self {
            // SAFETY: no arguments to get wrong. Not gettid of libc, which may have the tid of the
            // thread whose TLS this is: a call inside a call.
            parent: unsafe { libc::syscall(libc::SYS_gettid) as libc::pid_t },
            allow_pid_namespace,
            rseq: Rseq::registered(),
            gate: None,
            maps,
            signals: None,
            handlers: None,
            pidfd: pidfd.then_some(-1),
            f: Some(f),
            refusal: None,
            sigchld: None,
            result: None,
            returned: false,
            undumpable: false,
        }
    }

    /// Runs the closure in a child on `stack`, and waits until the child is gone. `born` gets its pid, and 0 before there
    /// is a child. It must not use the TLS, which is the child's by then.
    ///
    /// # Safety
    ///
    /// `args` shares memory and has no exit signal. With `VFORK` the stack is the caller's, else below its frames.
    pub(crate) unsafe fn run(
        &mut self,
        args: &CloneArgs,
        stack: Stack,
        born: impl Fn(libc::pid_t),
    ) -> Result<thread::Result<R>, Error> {
        retry_if_hidden(|| {
            born(0);
            self.pidfd = self.pidfd.map(|_| -1);
            // SAFETY: the caller's promise.
            unsafe { self.run_once(args, stack, &born) }
        })
    }

    /// One attempt.
    ///
    /// # Safety
    ///
    /// That of [`run`](Self::run).
    unsafe fn run_once(
        &mut self,
        args: &CloneArgs,
        stack: Stack,
        born: impl Fn(libc::pid_t),
    ) -> Result<thread::Result<R>, Error> {
        if self.maps.are_the_callers() {
            self.gate = None;
            // SAFETY: the caller's promise.
            return unsafe { self.run_alone(args, stack, born) };
        }
        let gate = Arc::new(Gate::new(self.maps.clone()));
        self.gate = Some(Arc::clone(&gate));
        thread::scope(|scope| {
            let writer = thread::Builder::new().spawn_scoped(scope, || gate.serve());
            writer.map_err(|error| no_thread(&error))?;
            // SAFETY: the caller's promise.
            let result = unsafe { self.run_alone(args, stack, born) };
            gate.close();
            result
        })
    }

    /// The same, without a thread that writes the maps.
    ///
    /// # Safety
    ///
    /// That of [`run`](Self::run).
    unsafe fn run_alone(
        &mut self,
        args: &CloneArgs,
        stack: Stack,
        born: impl Fn(libc::pid_t),
    ) -> Result<thread::Result<R>, Error> {
        // No trial with `allow_pid_namespace`: its child could be the first process of a pid namespace, which would end with it.
        if !self.allow_pid_namespace {
            memory_is_shared()?;
        }
        let mut args = *args;
        if args.flags & CloneFlags::CLEAR_SIGHAND.bits() != 0 {
            self.handlers = Some(LibcHandlers::of_this_process());
        }
        if let Some(pidfd) = &mut self.pidfd {
            args.flags |= CloneFlags::PIDFD.bits();
            args.pidfd = ptr::from_mut(pidfd).expose_provenance() as u64;
        }
        // With VFORK the kernel wakes this thread when the child has let go of the memory. Otherwise it clears this word
        // then, and wakes who waits for that.
        let vfork = args.flags & CloneFlags::VFORK.bits() != 0;
        let alive = AtomicU32::new(u32::from(!vfork));
        if !vfork {
            args.flags |= CloneFlags::CHILD_CLEARTID.bits();
            args.child_tid = alive.as_ptr().expose_provenance() as u64;
        }

        if matches!(stack, Stack::BelowCaller) {
            // while this thread still handles signals
            reach_below();
        }
        let lent = if vfork { Ok(None) } else { Signals::lend().map(Some) };
        let signals = lent.map_err(|error| Error::from_io(Stage::Signals, &error))?;
        self.signals = signals;
        let hides = hides_from_owner(CloneFlags::from_bits_retain(args.flags));
        let dumpable = Dumpable::watch(hides);
        let handed_over = self.rseq.map_or(Ok(()), Rseq::unregister);
        let started = match handed_over {
            // SAFETY: `live` uses nothing but the task, which lives until the child is gone and is not
            // looked at until then. This thread sleeps in the kernel (VFORK), or handles no signal and uses no TLS (S10).
            // The child has its stack below these frames, by the caller's promise.
            Ok(()) => unsafe { start(&args, stack, Self::live, ptr::from_mut(self).cast()) },
            Err(error) => Err(Error::from_io(Stage::Rseq, &error)),
        };
        if let Ok(pid) = started {
            born(pid);
            wait_for_zero(&alive);
        }
        if let Some(rseq) = self.rseq {
            rseq.register();
        }
        if let Some(signals) = signals {
            signals.take_over_stack();
            signals.unblock();
        }
        let outcome = started.and_then(|pid| self.outcome(pid));
        dumpable.restore(self.undumpable || hides);
        outcome
    }

    /// What became of the child.
    fn outcome(&mut self, pid: libc::pid_t) -> Result<thread::Result<R>, Error> {
        if let Some(error) = self.refusal.take() {
            _ = wait(pid, libc::__WALL);
            if let Some(action) = self.sigchld {
                // SAFETY: what sigaction(2) returned.
                unsafe { libc::sigaction(libc::SIGCHLD, &action, ptr::null_mut()) };
            }
            return Err(error);
        }
        let end = End::of(pid, self.returned);
        match (self.result.take(), &end) {
            // S5: that somebody else has the status loses no value.
            (Some(result), End::Stolen) if self.returned => Ok(result),
            (Some(result), End::Status(status)) if self.returned && status.success() => Ok(result),
            (None, End::Status(status)) if self.f.is_some() && status.success() => Err(not_shared()),
            // It has ended, in one way or another, and it was not by returning.
            _ => end_like(end, pid),
        }
    }

    /// The child's whole life.
    unsafe extern "C" fn live(task: *mut c_void) -> c_int {
        // SAFETY: `run` passes its task, which the parent leaves alone while the child lives.
        let task = unsafe { &mut *task.cast::<Self>() };
        // SAFETY: the kernel has opened it for this task, and nobody else knows of it.
        let pidfd = task.pidfd.filter(|&fd| fd >= 0).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        let alone = Alone::look();
        if let Err(error) = task.prepare() {
            task.refusal = Some(error);
            return 0;
        }
        if let Some(f) = task.f.take() {
            // The panic goes on in the caller, who then sees what the closure has left half done.
            task.result = Some(catch_unwind(AssertUnwindSafe(|| f(pidfd))));
            // Threads that the closure has left behind could still end this process, by exit or execve.
            let mut pause = Pause::new();
            while !alone.is_true() {
                pause.sleep();
            }
            task.undumpable = Dumpable::is_lost();
            task.returned = true;
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
        // before any thread can be made here
        if let Some(handlers) = &self.handlers {
            handlers.install();
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
        if ppid == 0 && self.allow_pid_namespace {
            return Ok(());
        }
        if ppid == 0 {
            let mut action = MaybeUninit::uninit();
            // SAFETY: a place for the action.
            self.sigchld = unsafe {
                (libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr()) == 0)
                    .then(|| action.assume_init())
            };
            return Err(pid_namespace());
        }
        // If the parent ended or executed another program before the prctl, the process whose child this is now has no
        // thread with that tid.
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

/// What a thread lends to its child beside its TLS (S10): it has its signals blocked and no
/// alternate signal stack while the child lives.
#[derive(Clone, Copy)]
struct Signals {
    mask: libc::sigset_t,
    stack: libc::stack_t,
}

impl Signals {
    /// Takes them from the calling thread.
    fn lend() -> io::Result<Self> {
        let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
        let mut stack = MaybeUninit::uninit();
        let none = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: places for what is stored. The alternate stack is the child's from now on, and no handler's here.
        unsafe {
            set_mask(ptr::from_ref(&lent_signals()).cast(), mask.as_mut_ptr().cast())?;
            let mask = mask.assume_init();
            if libc::sigaltstack(&none, stack.as_mut_ptr()) != 0 {
                // EPERM: the caller is a handler that runs on it.
                let error = io::Error::last_os_error();
                _ = set_mask(ptr::from_ref(&mask).cast(), ptr::null_mut());
                return Err(error);
            }
            Ok(Self { mask, stack: stack.assume_init() })
        }
    }

    /// Gives them to the calling task: the child, and its parent afterwards.
    fn take_over_stack(&self) {
        // SAFETY: the stack that sigaltstack(2) returned for this thread. A disabled one is taken, too.
        unsafe { libc::sigaltstack(&self.stack, ptr::null_mut()) };
    }

    fn unblock(&self) {
        // SAFETY: the mask that `lend` has read of this thread.
        _ = unsafe { set_mask(ptr::from_ref(&self.mask).cast(), ptr::null_mut()) };
    }
}

/// What a waiting thread has blocked. glibc's own two signals stay open: set*id of another thread waits until each thread
/// has handled one, and the handler touches two words of the TLS that nobody else uses. musl's sets errno and puts
/// itself on a list in the TLS, which is the child's now: there, and in a libc that is neither, they are blocked, and set*id
/// waits.
fn lent_signals() -> libc::sigset_t {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: a place for the set, which has a bit for each signal of the kernel. sigfillset(3) leaves out libc's own.
    unsafe {
        if cfg!(target_env = "gnu") {
            libc::sigfillset(all.as_mut_ptr());
        } else {
            all.as_mut_ptr().write_bytes(0xff, 1);
        }
        all.assume_init()
    }
}

/// The handlers of the signals that libc keeps for itself: it installs them once, and remembers in memory that they are
/// there.
struct LibcHandlers([KernelAction; 4]);

impl LibcHandlers {
    /// The real-time signals that the libc keeps for itself, from 32 up to SIGRTMIN: glibc two, musl three.
    fn signals() -> impl Iterator<Item = c_int> {
        (32..libc::SIGRTMIN()).take(4)
    }

    fn of_this_process() -> Self {
        let mut actions = [KernelAction::default(); 4];
        for (signal, action) in Self::signals().zip(&mut actions) {
            // SAFETY: a place for the action, of its size or larger.
            unsafe {
                libc::syscall(
                    libc::SYS_rt_sigaction,
                    signal,
                    ptr::null::<u8>(),
                    action.as_mut_ptr(),
                    NSIG / 8,
                )
            };
        }
        Self(actions)
    }

    /// In a task with a table of its own.
    fn install(&self) {
        for (signal, action) in Self::signals().zip(&self.0) {
            // SAFETY: an action that the kernel has told.
            unsafe {
                libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), ptr::null::<u8>(), NSIG / 8)
            };
        }
    }
}

//! A task in its parent's memory: what it does first and last, and how its parent learns of its end.
//!
//! The task runs on the TLS of one thread of its parent, and that thread leaves the TLS alone meanwhile. So libc and
//! std take the task for that thread, and everything in here may use them.

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

/// The state that parent and child share. It is in the parent's frame, and only the child touches it while the child
/// lives.
pub(crate) struct Task<F, R> {
    /// The tid of the thread that starts the child.
    parent: libc::pid_t,
    allow_pid_namespace: bool,
    rseq: Option<Rseq>,
    maps: IdMaps,
    /// The gate at which the child waits for its maps, if it may not write them itself.
    gate: Option<Arc<Gate>>,
    /// The signal mask and the signal stack that the child takes over from the waiting thread.
    signals: Option<Signals>,
    /// libc's own handlers, for a child with a table that begins empty (`CLEAR_SIGHAND`).
    handlers: Option<LibcHandlers>,
    /// The place where the kernel stores the pidfd, if one is asked for. It is -1 before.
    pidfd: Option<c_int>,
    /// The closure, until the child takes it.
    f: Option<F>,
    refusal: Option<Error>,
    /// The parent's action for SIGCHLD. The parent restores it after a child that has refused. When the init of a pid
    /// namespace ends, the kernel sets SIGCHLD to ignored in its table of handlers, and the parent shares that table.
    sigchld: Option<libc::sigaction>,
    result: Option<thread::Result<R>>,
    /// The result is stored, and the child's first thread is its last one. No other thread can end the child now, by
    /// exit or execve. Only its own return can, or a signal that kills it.
    returned: bool,
    /// Whether the child's first thread has changed its credentials.
    undumpable: bool,
}

impl<F: FnOnce(Option<OwnedFd>) -> R, R> Task<F, R> {
    pub(crate) fn new(f: F, maps: IdMaps, allow_pid_namespace: bool, pidfd: bool) -> Self {
        Self {
            // SAFETY: the call takes no arguments. libc's gettid is not used, because in a call inside a call it may
            // return the tid of the thread that has lent its TLS.
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

    /// Runs the closure in a child on `stack`, and waits until the child is gone. `born` gets 0 before there is a
    /// child, and then the child's pid. By then the child uses the TLS, so `born` must not use it.
    ///
    /// # Safety
    ///
    /// `args` shares memory and has no exit signal. With `VFORK` the stack is the caller's. Otherwise it is below the
    /// caller's frames.
    pub(crate) unsafe fn run(
        &mut self,
        args: &CloneArgs,
        stack: Stack,
        born: impl Fn(libc::pid_t),
    ) -> Result<thread::Result<R>, Error> {
        retry_if_hidden(|| {
            born(0);
            self.pidfd = self.pidfd.map(|_| -1);
            // SAFETY: the caller guarantees this.
            unsafe { self.run_once(args, stack, &born) }
        })
    }

    /// Makes one attempt.
    ///
    /// # Safety
    ///
    /// The conditions are those of [`run`](Self::run).
    unsafe fn run_once(
        &mut self,
        args: &CloneArgs,
        stack: Stack,
        born: impl Fn(libc::pid_t),
    ) -> Result<thread::Result<R>, Error> {
        if self.maps.are_the_callers() {
            self.gate = None;
            // SAFETY: the caller guarantees this.
            return unsafe { self.run_alone(args, stack, born) };
        }
        let gate = Arc::new(Gate::new(self.maps.clone()));
        self.gate = Some(Arc::clone(&gate));
        thread::scope(|scope| {
            let writer = thread::Builder::new().spawn_scoped(scope, || gate.serve());
            writer.map_err(|error| no_thread(&error))?;
            // SAFETY: the caller guarantees this.
            let result = unsafe { self.run_alone(args, stack, born) };
            gate.close();
            result
        })
    }

    /// Makes the attempt itself. If a thread has to write the maps, it already runs.
    ///
    /// # Safety
    ///
    /// The conditions are those of [`run`](Self::run).
    unsafe fn run_alone(
        &mut self,
        args: &CloneArgs,
        stack: Stack,
        born: impl Fn(libc::pid_t),
    ) -> Result<thread::Result<R>, Error> {
        // With `allow_pid_namespace` there is no trial. Its child could be the first process of a pid namespace, and
        // the namespace would end with it.
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
        // With VFORK the kernel wakes this thread when the child no longer has the memory. Otherwise the kernel then
        // clears this word, and wakes the thread that waits for that.
        let vfork = args.flags & CloneFlags::VFORK.bits() != 0;
        let alive = AtomicU32::new(u32::from(!vfork));
        if !vfork {
            args.flags |= CloneFlags::CHILD_CLEARTID.bits();
            args.child_tid = alive.as_ptr().expose_provenance() as u64;
        }

        if matches!(stack, Stack::BelowCaller) {
            // Do this while this thread still handles signals, so that an overflow is reported.
            reach_below();
        }
        let lent = if vfork { Ok(None) } else { Signals::lend().map(Some) };
        let signals = lent.map_err(|error| Error::from_io(Stage::Signals, &error))?;
        self.signals = signals;
        let hides = hides_from_owner(CloneFlags::from_bits_retain(args.flags));
        let dumpable = Dumpable::watch(hides);
        let handed_over = self.rseq.map_or(Ok(()), Rseq::unregister);
        let started = match handed_over {
            // SAFETY: `live` uses nothing but the task, which outlives the child. Nobody else looks at the task until
            // the child is gone. This thread sleeps in the kernel (VFORK), or handles no signal and uses no TLS (S10).
            // The caller guarantees that the child's stack is below these frames.
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

    /// Returns the closure's result or the child's refusal. If the child has ended in another way, this ends the
    /// program.
    fn outcome(&mut self, pid: libc::pid_t) -> Result<thread::Result<R>, Error> {
        if let Some(error) = self.refusal.take() {
            _ = wait(pid, libc::__WALL);
            if let Some(action) = self.sigchld {
                // SAFETY: sigaction(2) has returned this action.
                unsafe { libc::sigaction(libc::SIGCHLD, &action, ptr::null_mut()) };
            }
            return Err(error);
        }
        let end = End::of(pid, self.returned);
        match (self.result.take(), &end) {
            // S5: other code has taken the status, but the value is there.
            (Some(result), End::Stolen) if self.returned => Ok(result),
            (Some(result), End::Status(status)) if self.returned && status.success() => Ok(result),
            (None, End::Status(status)) if self.f.is_some() && status.success() => Err(not_shared()),
            // S1: the child has ended, but not by returning.
            _ => end_like(end, pid),
        }
    }

    /// Runs as the child, from its first step to its last.
    unsafe extern "C" fn live(task: *mut c_void) -> c_int {
        // SAFETY: `run` passes its task, and the parent leaves it alone while the child lives.
        let task = unsafe { &mut *task.cast::<Self>() };
        // SAFETY: the kernel has opened the pidfd for this task, and no other code owns it.
        let pidfd = task.pidfd.filter(|&fd| fd >= 0).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) });
        let alone = Alone::look();
        if let Err(error) = task.prepare() {
            task.refusal = Some(error);
            return 0;
        }
        if let Some(f) = task.f.take() {
            // The panic goes on in the caller, so the caller knows that the closure may have left things half done.
            task.result = Some(catch_unwind(AssertUnwindSafe(|| f(pidfd))));
            // S1: threads that the closure has left behind could still end this process, by exit or execve.
            let mut pause = Pause::new();
            while !alone.is_true() {
                pause.sleep();
            }
            task.undumpable = Dumpable::is_lost();
            task.returned = true;
        }
        if let Some(rseq) = task.rseq {
            // If this fails, the end of the task unregisters the area.
            _ = rseq.unregister();
        }
        0
    }

    /// Prepares everything that the closure needs before it runs.
    fn prepare(&mut self) -> Result<(), Error> {
        if let Some(signals) = &self.signals {
            signals.take_over_stack();
        }
        // This comes before any thread can be made here.
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

    /// Makes the child end when its parent ends or executes another program (S6). It refuses a parent in another pid
    /// namespace, which has no pid here (S3).
    fn die_with_parent(&mut self) -> Result<(), Error> {
        // SAFETY: the call takes no pointers.
        let refused = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) } != 0;
        if refused {
            return Err(Error::from_io(Stage::ParentDeath, &io::Error::last_os_error()));
        }
        // SAFETY: the call takes no arguments.
        let ppid = unsafe { libc::getppid() };
        if ppid == 0 && self.allow_pid_namespace {
            return Ok(());
        }
        if ppid == 0 {
            let mut action = MaybeUninit::uninit();
            // SAFETY: `action` has room for the action.
            self.sigchld = unsafe {
                (libc::sigaction(libc::SIGCHLD, ptr::null(), action.as_mut_ptr()) == 0)
                    .then(|| action.assume_init())
            };
            return Err(pid_namespace());
        }
        // If the parent has ended or executed another program before the prctl, this child now has another parent, or
        // that program. Neither has a thread with that tid, with one exception: if the main thread has started this
        // child and another thread has executed the program, the program has the main thread's tid (docs/LIMITS.md).
        // SAFETY: signal 0 only asks whether the thread exists.
        let gone = unsafe { libc::syscall(libc::SYS_tgkill, ppid, self.parent, 0) } == -1
            && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
        if gone {
            // SAFETY: the call ends this process. Nothing has run in it, and nobody waits for it.
            unsafe { libc::_exit(0) }
        }
        Ok(())
    }
}

/// The signal state that a thread lends to its child beside its TLS (S10). While the child lives, the thread has its
/// signals blocked and has no alternate signal stack.
#[derive(Clone, Copy)]
struct Signals {
    mask: libc::sigset_t,
    stack: libc::stack_t,
}

impl Signals {
    /// Takes the mask and the alternate stack from the calling thread.
    fn lend() -> io::Result<Self> {
        let mut mask = MaybeUninit::<libc::sigset_t>::uninit();
        let mut stack = MaybeUninit::uninit();
        let none = libc::stack_t { ss_sp: ptr::null_mut(), ss_flags: libc::SS_DISABLE, ss_size: 0 };
        // SAFETY: there is room for what is stored. From now on the child has the alternate stack, and no handler runs
        // on it here.
        unsafe {
            set_mask(ptr::from_ref(&lent_signals()).cast(), mask.as_mut_ptr().cast())?;
            let mask = mask.assume_init();
            if libc::sigaltstack(&none, stack.as_mut_ptr()) != 0 {
                // EPERM means that the caller is a handler that runs on this stack.
                let error = io::Error::last_os_error();
                _ = set_mask(ptr::from_ref(&mask).cast(), ptr::null_mut());
                return Err(error);
            }
            Ok(Self { mask, stack: stack.assume_init() })
        }
    }

    /// Gives the alternate stack to the calling task: first to the child, and afterwards to its parent.
    fn take_over_stack(&self) {
        // SAFETY: sigaltstack(2) returned this stack for this thread. It may be a disabled one.
        unsafe { libc::sigaltstack(&self.stack, ptr::null_mut()) };
    }

    fn unblock(&self) {
        // SAFETY: `lend` has read this mask from this thread.
        _ = unsafe { set_mask(ptr::from_ref(&self.mask).cast(), ptr::null_mut()) };
    }
}

/// Returns the signals that a waiting thread blocks. glibc's own two signals stay open. Another thread's set*id waits
/// until each thread has handled one of them, and the handler touches only two words of the TLS that nobody else uses.
/// musl's handler sets errno and puts itself on a list in the TLS, and the child has that TLS now. So with musl, and
/// with any other libc, all signals are blocked, and set*id waits.
fn lent_signals() -> libc::sigset_t {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: there is room for the set, which has a bit for each signal of the kernel. sigfillset(3) leaves out libc's
    // own.
    unsafe {
        if cfg!(target_env = "gnu") {
            libc::sigfillset(all.as_mut_ptr());
        } else {
            all.as_mut_ptr().write_bytes(0xff, 1);
        }
        all.assume_init()
    }
}

/// The handlers of the signals that libc keeps for itself. libc installs them once, and remembers in memory that they
/// are there.
struct LibcHandlers([KernelAction; 4]);

impl LibcHandlers {
    /// Returns the real-time signals that libc keeps for itself, from 32 up to SIGRTMIN. glibc has two, and musl has
    /// three.
    fn signals() -> impl Iterator<Item = c_int> {
        (32..libc::SIGRTMIN()).take(4)
    }

    fn of_this_process() -> Self {
        let mut actions = [KernelAction::default(); 4];
        for (signal, action) in Self::signals().zip(&mut actions) {
            // SAFETY: `action` has at least the size of the kernel's struct.
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

    /// Installs the handlers in the calling task, which has its own table.
    fn install(&self) {
        for (signal, action) in Self::signals().zip(&self.0) {
            // SAFETY: the kernel has returned this action.
            unsafe {
                libc::syscall(libc::SYS_rt_sigaction, signal, action.as_ptr(), ptr::null::<u8>(), NSIG / 8)
            };
        }
    }
}

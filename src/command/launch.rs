//! Starts the child, and waits until it no longer has the memory.

#![allow(unsafe_code)]

use super::child::{AWAITS_MAPS, Orders, RUNS, live, live_between};
use super::hidden::wait_for_own_memory;
use super::namespaces::{serve_maps, wake};
use super::plan::{Plan, Way};
use super::request::Request;
use super::session::Foreground;
use super::stdio::Stdio;
use crate::raw::CloneArgs;
use crate::start::dumpable::{Dumpable, retry_if_hidden};
use crate::start::end::{sleep_while, uninterrupted, wait};
use crate::start::probe::not_shared;
use crate::start::why::no_thread;
use crate::start::{Stack, reach_below, refusal, start};
use crate::{Child, CloneFlags, Error, Stage};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::panic::resume_unwind;
use std::process::ExitStatus;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::thread;

/// Whether clone3(2) with CLEAR_SIGHAND is known to be refused, by the kernel or by a seccomp filter.
static NO_CLEAR_SIGHAND: AtomicBool = AtomicBool::new(false);

/// The child's stack, which is a part of the caller's.
#[repr(C, align(16))]
struct Room([u8; 16 * 1024]);

/// The places where the kernel stores something for the caller.
struct Stored {
    /// A pidfd of the program's child, or -1.
    pidfd: AtomicI32,
    /// The pid of the program's child, if an intermediate child has started it.
    pid: AtomicI32,
    /// Nonzero until that child no longer has the memory.
    second: AtomicU32,
}

impl Default for Stored {
    fn default() -> Self {
        Self { pidfd: AtomicI32::new(-1), pid: AtomicI32::new(0), second: AtomicU32::new(RUNS) }
    }
}

impl Stored {
    /// If an intermediate child has started the program's child, waits until the latter no longer has the memory. If
    /// the intermediate child is killed, this can be after its end.
    fn await_second(&self) {
        if self.pid.load(Ordering::Acquire) != 0 {
            _ = attend(&self.second, || Ok(()));
        }
    }

    fn into_pidfd(self) -> Option<OwnedFd> {
        let pidfd = self.pidfd.into_inner();
        // SAFETY: the kernel has opened this descriptor for this start.
        (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) })
    }
}

impl Request {
    pub(super) fn start(&mut self, defaults: [&Stdio; 3]) -> Result<Child, Error> {
        // The child's room makes a frame that is larger than a guard page. On these architectures the compiler touches
        // each page of such a frame itself.
        if !cfg!(any(
            target_arch = "x86",
            target_arch = "x86_64",
            target_arch = "powerpc64",
            target_arch = "s390x"
        )) {
            reach_below();
        }
        retry_if_hidden(|| self.attempt_by_either_call(defaults))
    }

    fn attempt_by_either_call(&mut self, defaults: [&Stdio; 3]) -> Result<Child, Error> {
        if !NO_CLEAR_SIGHAND.load(Ordering::Relaxed) {
            match self.attempt(defaults, false) {
                // The second attempt only resets handlers in another way. It drops nothing that was requested.
                Err(error)
                    if error.stage() == Stage::Clone3
                        && matches!(error.raw_os_error(), libc::ENOSYS | libc::EPERM | libc::EINVAL) => {}
                done => return done,
            }
            let child = self.attempt(defaults, true)?;
            NO_CLEAR_SIGHAND.store(true, Ordering::Relaxed);
            return Ok(child);
        }
        self.attempt(defaults, true)
    }

    fn attempt(&mut self, defaults: [&Stdio; 3], resets: bool) -> Result<Child, Error> {
        let mut plan = Plan::new(self, defaults, Way::Child { resets })?;
        let mut room = MaybeUninit::<Room>::uninit();
        let stored = Stored::default();
        let (first, orders) = self.births(&mut plan, resets, &stored, &mut room);
        let dumpable = plan.watches.then(|| Dumpable::watch(plan.hides));
        let foreground = self.foreground.as_ref().map(|terminal| Foreground::of(terminal.as_fd()));

        let (started, mapped) = self.run(&plan, &stored, &first, &orders);
        let first_pid = started.as_ref().copied().unwrap_or(0);
        let pid = if plan.first == 0 {
            first_pid
        } else {
            if first_pid > 0 {
                stored.await_second();
                _ = wait(first_pid, libc::__WALL);
            }
            stored.pid.load(Ordering::Acquire)
        };
        // The memory must not become dumpable earlier. While the child had another user's ids, that user could have
        // traced it, and read this memory.
        if let Some(dumpable) = dumpable {
            let is_known = pid == 0 || wait_for_own_memory(pid);
            dumpable.restore(is_known && plan.has_changed_ids.load(Ordering::Relaxed));
        }
        started.map_err(|error| match error.raw_os_error() {
            libc::EINVAL if error.hint().is_none() => {
                error.with_hint(Some("memory cannot be shared under an emulator such as qemu-user"))
            }
            _ => error,
        })?;
        if plan.word.load(Ordering::Acquire) != 0 {
            // An emulator makes a fork of the child if its parent sleeps.
            // SAFETY: this is a child of ours that nobody has waited for.
            unsafe { libc::kill(first_pid, libc::SIGKILL) };
            _ = wait(first_pid, libc::__WALL);
            drop(stored.into_pidfd());
            return Err(not_shared());
        }
        let failed = orders.failed.load(Ordering::Relaxed);
        if pid == 0 && failed == usize::MAX {
            return Err(why_no_second_child(&orders));
        }
        let mut child = Child::new(pid, stored.into_pidfd().filter(|_| self.pidfd));
        if pid > 0 && (failed != usize::MAX || child.pidfd().is_none()) {
            // A child that has not executed a program has no exit signal. It is reaped now, because later its pid alone
            // could not tell it from a child of `call`.
            if let Some(status) = end_at_birth(pid) {
                child.has_ended(status);
            }
        }
        if failed != usize::MAX {
            if let Some(foreground) = foreground {
                foreground.restore();
            }
            mapped?;
            let error = plan.error(self, failed, orders.errno.load(Ordering::Relaxed));
            return Err(self.with_reason(error));
        }
        let [stdin, stdout, stderr] = &mut plan.pipes;
        child.stdin = stdin.take().map(Into::into);
        child.stdout = stdout.take().map(Into::into);
        child.stderr = stderr.take().map(Into::into);
        Ok(child)
    }

    /// Returns the arguments of the first child, and the orders for all children. The first child is the program's, or
    /// an intermediate one that starts the program's.
    fn births(
        &self,
        plan: &mut Plan,
        resets: bool,
        stored: &Stored,
        room: &mut MaybeUninit<Room>,
    ) -> (CloneArgs, Orders) {
        let mut args = self.birth(plan, resets);
        if args.flags & CloneFlags::PIDFD.bits() != 0 {
            args.pidfd = stored.pidfd.as_ptr().expose_provenance() as u64;
        }
        let mut first = args;
        if plan.first > 0 {
            // The program's child is a child of this process. It uses the intermediate child's stack while that child
            // sleeps. The intermediate child shares its table of descriptors with this process, so that this process
            // gets the pidfd.
            let flags = CloneFlags::VFORK | CloneFlags::PARENT;
            args.flags |= (flags | CloneFlags::PARENT_SETTID | CloneFlags::CHILD_CLEARTID).bits();
            args.parent_tid = stored.pid.as_ptr().expose_provenance() as u64;
            args.child_tid = stored.second.as_ptr().expose_provenance() as u64;
            first = CloneArgs { flags: (CloneFlags::VM | CloneFlags::FILES).bits(), ..CloneArgs::default() };
        }
        first.flags |= CloneFlags::CHILD_CLEARTID.bits();
        first.child_tid = plan.word.as_ptr().expose_provenance() as u64;
        if plan.sleeps {
            first.flags |= CloneFlags::VFORK.bits();
        } else {
            first.stack = room.as_mut_ptr().expose_provenance() as u64;
            first.stack_size = size_of::<Room>() as u64;
        }
        (first, Orders::new(std::mem::take(&mut plan.steps), plan.first, args))
    }

    /// Starts the first child, waits until it no longer has the memory, and writes its maps of ids meanwhile. Returns
    /// the first child's pid, and the result of writing the maps.
    fn run(
        &self,
        plan: &Plan,
        stored: &Stored,
        first: &CloneArgs,
        orders: &Orders,
    ) -> (Result<libc::pid_t, Error>, Result<(), Error>) {
        let word = &*plan.word;
        let maps = || serve_maps(&self.maps, word, &stored.pidfd);
        if !plan.sleeps {
            let started = self.start_first(plan, stored, first, orders);
            let mapped = if started.is_ok() { attend(word, maps) } else { Ok(()) };
            return (started, mapped);
        }
        // The kernel clears the word before it wakes a caller that sleeps, so there is nothing to wait for.
        if !plan.awaits_maps {
            return (self.start_first(plan, stored, first, orders), Ok(()));
        }
        thread::scope(|scope| {
            let writer = match thread::Builder::new().spawn_scoped(scope, || attend(word, maps)) {
                Ok(writer) => writer,
                Err(error) => return (Err(no_thread(&error)), Ok(())),
            };
            let started = self.start_first(plan, stored, first, orders);
            if started.is_err() {
                word.store(0, Ordering::Release);
                wake(word);
            }
            (started, writer.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })
    }

    fn start_first(
        &self,
        plan: &Plan,
        stored: &Stored,
        first: &CloneArgs,
        orders: &Orders,
    ) -> Result<libc::pid_t, Error> {
        let live = if plan.first > 0 { live_between } else { live };
        let mask = plan.block_signals(self)?;
        // SAFETY: only the child uses the room until the word is 0. Without closures `live` uses no thread-local
        // storage. With closures this thread sleeps. The child has no handlers, or it blocks all signals until it has
        // reset them.
        unsafe {
            let started = start(first, Stack::InArgs, live, ptr::from_ref(orders).cast_mut().cast());
            // If an intermediate child is killed, this thread wakes while the program's child may still use this
            // thread's thread-local storage.
            let second = stored.pid.load(Ordering::Acquire);
            if plan.sleeps && second != 0 && stored.second.load(Ordering::Acquire) != 0 {
                libc::kill(second, libc::SIGKILL);
                stored.await_second();
            }
            mask.restore();
            started
        }
    }

    /// Adds the text of the closure's error, if a closure failed.
    pub(super) fn with_reason(&mut self, error: Error) -> Error {
        match self.closures.error() {
            Some(reason) if error.stage() == Stage::PreExec => error.with_hint(Some(reason.to_string())),
            _ => error,
        }
    }
}

/// Explains why an intermediate child has started no child although all its steps succeeded.
fn why_no_second_child(orders: &Orders) -> Error {
    match orders.refusal.load(Ordering::Relaxed) {
        0 => {
            let hint = "the child that joins the namespaces was killed";
            Error::new(Stage::JoinNamespace, libc::EINTR, hint)
        }
        errno => refusal(&orders.args, errno),
    }
}

/// Waits until the kernel has cleared the word, because the child no longer has the memory. Writes the maps if the
/// child waits for them.
fn attend(word: &AtomicU32, maps: impl FnOnce() -> Result<(), Error>) -> Result<(), Error> {
    let mut maps = Some(maps);
    let mut written = Ok(());
    loop {
        match (word.load(Ordering::Acquire), &maps) {
            (0, _) => return written,
            (AWAITS_MAPS, Some(_)) => written = maps.take().map_or(Ok(()), |maps| maps()),
            (state, _) => sleep_while(word, state),
        }
    }
}

/// Reaps a child that no longer has the memory, if it ended without executing its program, and returns its status.
fn end_at_birth(pid: libc::pid_t) -> Option<ExitStatus> {
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    let options = libc::WEXITED | libc::WNOWAIT | libc::__WCLONE;
    // `__WCLONE` does not see a child that has executed its program, unless this program traces it. A traced child
    // stops there, and WNOWAIT leaves that stop to the thread that waits for it.
    // SAFETY: `info` has room for the result.
    let is_known =
        uninterrupted(|| unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, info.as_mut_ptr(), options) })
            .is_ok();
    // SAFETY: waitid(2) has stored the result.
    let is_end = is_known && unsafe { info.assume_init() }.si_code != libc::CLD_TRAPPED;
    if is_end { wait(pid, libc::__WCLONE | libc::WNOHANG).ok().flatten() } else { None }
}

//! Starts the child, and waits until it no longer has the memory.

#![allow(unsafe_code)]

use super::child::{AWAITS_MAPS, Orders, RUNS, live, live_between};
use super::hidden::wait_for_own_memory;
use super::namespaces::{serve_maps, wake};
use super::plan::{Plan, Way};
use super::request::Request;
use super::session::Foreground;
use super::stdio::Stdio;
use crate::dumpable::{Dumpable, may_have_been_hidden, now};
use crate::end::{Pause, sleep_while, wait};
use crate::probe::not_shared;
use crate::raw::CloneArgs;
use crate::start::{Stack, reach_below, refusal, start};
use crate::why::no_thread;
use crate::{Child, CloneFlags, Error, Stage};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, FromRawFd, OwnedFd};
use std::panic::resume_unwind;
use std::process::ExitStatus;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};
use std::thread;

/// Whether clone3(2) and CLEAR_SIGHAND are known to be refused here.
static NO_CLEAR_SIGHAND: AtomicBool = AtomicBool::new(false);

/// The child's stack, a part of the caller's.
#[repr(C, align(16))]
struct Room([u8; 16 * 1024]);

impl Request {
    pub(super) fn start(&mut self, defaults: [&Stdio; 3]) -> Result<Child, Error> {
        // The child's room is a frame larger than a guard page. These compilers touch each page of such a frame themselves.
        if !cfg!(any(
            target_arch = "x86",
            target_arch = "x86_64",
            target_arch = "powerpc64",
            target_arch = "s390x"
        )) {
            reach_below();
        }
        let mut pause = Pause::new();
        for _ in 0..10 {
            let begin = now();
            match self.attempt_by_either_call(defaults) {
                // Another start has hidden the memory for a moment, and with it the child's files in /proc.
                Err(error) if error.is_of_a_file_in_proc() && may_have_been_hidden(begin) => pause.sleep(),
                done => return done,
            }
        }
        self.attempt_by_either_call(defaults)
    }

    fn attempt_by_either_call(&mut self, defaults: [&Stdio; 3]) -> Result<Child, Error> {
        if !NO_CLEAR_SIGHAND.load(Ordering::Relaxed) {
            match self.attempt(defaults, false) {
                // Only how handlers are reset may be done otherwise. What was asked for is not dropped.
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
        let between = plan.first > 0;
        let sleeps = plan.sleeps;

        let mut room = MaybeUninit::<Room>::uninit();
        let (pidfd, pid) = (AtomicI32::new(-1), AtomicI32::new(0));
        let second = AtomicU32::new(RUNS);
        let word = &*plan.word;
        let mut args = self.birth(&plan, resets);
        if args.flags & CloneFlags::PIDFD.bits() != 0 {
            args.pidfd = pidfd.as_ptr().expose_provenance() as u64;
        }
        let mut first = args;
        if between {
            // The intermediate child sleeps while the program's, a child of this process, uses its stack. They have one table
            // of descriptors with this process, which so gets the pidfd.
            let flags = CloneFlags::VFORK | CloneFlags::PARENT;
            args.flags |= (flags | CloneFlags::PARENT_SETTID | CloneFlags::CHILD_CLEARTID).bits();
            args.parent_tid = pid.as_ptr().expose_provenance() as u64;
            args.child_tid = second.as_ptr().expose_provenance() as u64;
            first = CloneArgs { flags: (CloneFlags::VM | CloneFlags::FILES).bits(), ..CloneArgs::default() };
        }
        first.flags |= CloneFlags::CHILD_CLEARTID.bits();
        first.child_tid = word.as_ptr().expose_provenance() as u64;
        if sleeps {
            first.flags |= CloneFlags::VFORK.bits();
        } else {
            first.stack = room.as_mut_ptr().expose_provenance() as u64;
            first.stack_size = size_of::<Room>() as u64;
        }
        let orders = Orders {
            steps: std::mem::take(&mut plan.steps),
            first: plan.first,
            args,
            refusal: AtomicI32::new(0),
            failed: AtomicUsize::new(usize::MAX),
            errno: AtomicI32::new(0),
        };
        let live = if between { live_between } else { live };
        let dumpable = plan.watches.then(|| Dumpable::watch(plan.hides));
        let foreground = self.foreground.as_ref().map(|terminal| Foreground::of(terminal.as_fd()));

        let begin = || {
            let mask = plan.block_signals(self)?;
            // SAFETY: the room is the child's until the word is 0. Without closures `live` uses no thread-local storage; with
            // closures this thread sleeps. The child has no handlers, or blocks all signals until it has reset them.
            unsafe {
                let started = start(&first, Stack::InArgs, live, ptr::from_ref(&orders).cast_mut().cast());
                // An intermediate child that is killed wakes a caller whose thread-local storage the program's child may use.
                let alone = pid.load(Ordering::Acquire);
                if sleeps && alone != 0 && second.load(Ordering::Acquire) != 0 {
                    libc::kill(alone, libc::SIGKILL);
                    _ = attend(&second, || Ok(()));
                }
                mask.restore();
                started
            }
        };
        let maps = || serve_maps(&self.maps, word, &pidfd);
        let (started, mapped) = if sleeps && plan.awaits_maps {
            thread::scope(|scope| {
                let writer = thread::Builder::new().spawn_scoped(scope, || attend(word, maps));
                let writer = match writer {
                    Ok(writer) => writer,
                    Err(error) => return (Err(no_thread(&error)), Ok(())),
                };
                let started = begin();
                if started.is_err() {
                    word.store(0, Ordering::Release);
                    wake(word);
                }
                (started, writer.join().unwrap_or_else(|panic| resume_unwind(panic)))
            })
        } else {
            let started = begin();
            // The kernel clears the word before it wakes a caller that sleeps.
            let attends = started.is_ok() && !sleeps;
            (started, if attends { attend(word, maps) } else { Ok(()) })
        };
        let first_pid = started.as_ref().copied().unwrap_or(0);
        if between && first_pid > 0 {
            // It may have been killed while the program's child was there.
            if pid.load(Ordering::Acquire) != 0 {
                _ = attend(&second, || Ok(()));
            }
            _ = wait(first_pid, libc::__WALL);
        }
        // Not before: while the child had another user's ids, that user could have traced it, and with it this memory.
        let pid = if between { pid.into_inner() } else { first_pid };
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
        if word.load(Ordering::Acquire) != 0 {
            // An emulator makes a fork of a child whose parent sleeps.
            // SAFETY: a child of ours that nobody has waited for.
            unsafe { libc::kill(first_pid, libc::SIGKILL) };
            _ = wait(first_pid, libc::__WALL);
            return Err(not_shared());
        }
        let failed = orders.failed.load(Ordering::Relaxed);
        if pid == 0 && failed == usize::MAX {
            let errno = orders.refusal.load(Ordering::Relaxed);
            if errno != 0 {
                return Err(refusal(&orders.args, errno));
            }
            let hint = "the child that joins the namespaces was killed";
            return Err(Error::new(Stage::JoinNamespace, libc::EINTR, hint));
        }
        let pidfd = pidfd.into_inner();
        // SAFETY: the kernel has opened it for this call.
        let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
        let mut child = Child::new(pid, pidfd.filter(|_| self.pidfd));
        if pid > 0 && (failed != usize::MAX || child.pidfd().is_none()) {
            // A child that has not executed a program has no exit signal. Later its pid alone would not tell it from a child of
            // `call`.
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

    /// With the words of the closure's error, if a closure failed.
    pub(super) fn with_reason(&mut self, error: Error) -> Error {
        match self.closures.error() {
            Some(reason) if error.stage() == Stage::PreExec => error.with_hint(Some(reason.to_string())),
            _ => error,
        }
    }
}

/// Waits until the kernel has cleared the word, as it does when the first child no longer has the memory. Writes the maps if
/// they are waited for.
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

/// The end of a child that no longer has the memory, if it has not executed its program.
fn end_at_birth(pid: libc::pid_t) -> Option<ExitStatus> {
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    let options = libc::WEXITED | libc::WNOWAIT | libc::__WCLONE;
    let known = loop {
        // SAFETY: a place for the result. `__WCLONE` does not see a child that has executed its program, unless this program
        // traces it. A traced child stops there, and WNOWAIT leaves that stop to whoever waits.
        if unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, info.as_mut_ptr(), options) == 0 } {
            break true;
        }
        if io::Error::last_os_error().kind() != io::ErrorKind::Interrupted {
            break false;
        }
    };
    // SAFETY: it has been stored.
    let is_end = known && unsafe { info.assume_init() }.si_code != libc::CLD_TRAPPED;
    if is_end { wait(pid, libc::__WCLONE | libc::WNOHANG).ok().flatten() } else { None }
}

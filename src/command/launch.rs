//! Starts the child, and waits until it no longer has the memory.

#![allow(unsafe_code)]

use super::child::{Orders, live};
use super::plan::{Plan, Way};
use super::request::Request;
use super::stdio::Stdio;
use crate::dumpable::Dumpable;
use crate::end::{wait, wait_for_zero};
use crate::probe::not_shared;
use crate::raw::CloneArgs;
use crate::start::{Stack, start};
use crate::{Child, CloneFlags, Error, Stage};
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, OwnedFd};
use std::process::ExitStatus;
use std::ptr;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};

/// Whether clone3(2) and CLEAR_SIGHAND are known to be refused here.
static NO_CLEAR_SIGHAND: AtomicBool = AtomicBool::new(false);

/// The child's stack, a part of the caller's.
#[repr(C, align(16))]
struct Room([u8; 16 * 1024]);

impl Request {
    pub(super) fn start(&mut self, defaults: [&Stdio; 3]) -> Result<Child, Error> {
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
        let mut flags = CloneFlags::VM | CloneFlags::CHILD_CLEARTID;
        flags.set(CloneFlags::CLEAR_SIGHAND, !resets);
        flags.set(CloneFlags::PIDFD, self.pidfd);
        flags.set(CloneFlags::FILES, plan.cuts_fds);
        // Closures use the caller's thread-local storage, and as much stack as they like.
        let sleeps = plan.has_closures;
        flags.set(CloneFlags::VFORK, sleeps);

        let mut room = MaybeUninit::<Room>::uninit();
        let mut pidfd: c_int = -1;
        let alive = AtomicU32::new(1);
        let orders = Orders {
            steps: std::mem::take(&mut plan.steps),
            failed: AtomicUsize::new(usize::MAX),
            errno: AtomicI32::new(0),
        };
        // No exit signal: if a step fails, nobody but this function learns of the child.
        let args = CloneArgs {
            flags: flags.bits(),
            pidfd: if self.pidfd { (&raw mut pidfd).expose_provenance() as u64 } else { 0 },
            child_tid: alive.as_ptr().expose_provenance() as u64,
            stack: if sleeps { 0 } else { room.as_mut_ptr().expose_provenance() as u64 },
            stack_size: if sleeps { 0 } else { size_of::<Room>() as u64 },
            ..CloneArgs::default()
        };
        // a closure may change them, too
        let changes_ids = self.uid.is_some() || self.gid.is_some() || sleeps;
        let dumpable = changes_ids.then(Dumpable::watch);
        let blocked = plan.block_signals(self);
        // SAFETY: the room is the child's until the word is 0. Without closures `live` uses no thread-local storage; with
        // closures this thread sleeps. The child has no handlers, or blocks all signals until it has reset them.
        let started = blocked.and_then(|mask| unsafe {
            let started = start(&args, Stack::InArgs, live, ptr::from_ref(&orders).cast_mut().cast());
            mask.restore();
            started
        });
        // the kernel clears the word before it wakes a caller that sleeps
        if started.is_ok() && !sleeps {
            wait_for_zero(&alive);
        }
        // Not before: while the child had another user's ids, that user could have traced it, and with it this memory.
        if let Some(dumpable) = dumpable {
            dumpable.restore(true);
        }
        let pid = started.map_err(|error| match error.raw_os_error() {
            libc::EINVAL if error.hint().is_none() => error
                .with_hint(Some("memory cannot be shared under an emulator such as qemu-user or valgrind")),
            _ => error,
        })?;
        // SAFETY: the kernel has opened it for this call.
        let pidfd = (pidfd >= 0).then(|| unsafe { OwnedFd::from_raw_fd(pidfd) });
        if alive.load(Ordering::Acquire) != 0 {
            // valgrind makes a fork of a child whose parent sleeps
            // SAFETY: a child of ours that nobody has waited for.
            unsafe { libc::kill(pid, libc::SIGKILL) };
            _ = wait(pid, libc::__WALL);
            return Err(not_shared());
        }
        let mut child = Child::new(pid, pidfd);
        let failed = orders.failed.load(Ordering::Relaxed);
        if failed != usize::MAX || child.pidfd().is_none() {
            // A child that has not executed a program has no exit signal. Later its pid alone would not tell it from a child of
            // `call`.
            if let Some(status) = end_at_birth(pid) {
                child.has_ended(status);
            }
        }
        if failed != usize::MAX {
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

/// The end of a child that no longer has the memory, if it has not executed its program.
fn end_at_birth(pid: libc::pid_t) -> Option<ExitStatus> {
    let mut info = MaybeUninit::<libc::siginfo_t>::uninit();
    let options = libc::WEXITED | libc::WNOWAIT | libc::__WCLONE;
    // SAFETY: a place for the result. `__WCLONE` does not see a child that has executed its program, unless this program
    // traces it. A traced child stops there, and WNOWAIT leaves that stop to whoever waits.
    let known = unsafe { libc::waitid(libc::P_PID, pid as libc::id_t, info.as_mut_ptr(), options) == 0 };
    // SAFETY: it has been stored.
    let is_end = known && unsafe { info.assume_init() }.si_code != libc::CLD_TRAPPED;
    if is_end { wait(pid, libc::__WCLONE | libc::WNOHANG).ok().flatten() } else { None }
}

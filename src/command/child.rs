//! What the child does before it executes its program: it walks a list that its parent has prepared.
//!
//! It runs beside the thread whose thread-local storage it has, on a part of that thread's stack. So nothing here may touch
//! thread-local storage: no function of libc, no allocation, no panic. Only closures may, because the parent sleeps while
//! they run. `ci/check` sees to it that only constants of libc are used.

#![allow(unsafe_code)]

use super::closures::{Closures, PANICKED};
use crate::raw::{CloneArgs, clone_trampoline_syscall};
use crate::start::arch::{NSIG, mips};
use crate::start::end::abort;
use crate::start::kernel_signals::KernelAction;
use crate::start::start_raw;
use std::ffi::{c_int, c_long, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};

/// The number of the request, as the kernel takes it.
const TIOCSPGRP: c_long = libc::TIOCSPGRP as c_long;

/// The index of the word that holds the handler.
const HANDLER: usize = if mips() { 1 } else { 0 };

/// A step. Its addresses are those of the parent's memory, which outlives the child's use of it.
#[derive(Debug)]
pub(super) enum Step {
    /// A system call. The errno `tolerated` does not count as a failure.
    Call { number: c_long, arguments: [c_long; 6], tolerated: c_int },
    /// Default actions for what has a handler, where the kernel cannot do it at birth.
    ResetHandlers,
    /// Fails if the parent has ended before the signal at its death was asked for. Where it has no pid, it has a pidfd.
    LookForParent { pid: c_long, pidfd: c_int },
    /// Waits until the parent has written the maps of ids.
    AwaitMaps(*const AtomicU32),
    /// Writes a text of this length to a file.
    Write { path: c_long, text: c_long, length: c_long },
    /// Sets a [`MARK`], as a signal at the parent's death.
    Mark,
    /// Notes whether the signal at the parent's death is gone, as it is after a change of credentials. A [`MARK`] is taken away.
    LookForMark(*const AtomicBool),
    /// Removes capabilities that are not in this set from the bounding set.
    DropBounding(u64),
    /// Makes the child's process group the foreground one of a terminal.
    Foreground(c_int),
    /// Runs the closures; the parent sleeps.
    Closures(*const Closures),
    /// Executes the first candidate that is there. Three lists of strings, each of which ends with null.
    Execute { candidates: *const c_long, arguments: *const c_long, environment: *const c_long },
}

/// What the two sides share. The children only write `failed`, `errno` and `refusal`.
#[derive(Debug)]
pub(super) struct Orders {
    pub(super) steps: Vec<Step>,
    /// The first of the steps that are the program's child's. Those before are an intermediate child's: only the children
    /// of who joins a pid namespace are in it.
    pub(super) first: usize,
    /// With what an intermediate child starts the program's.
    pub(super) args: CloneArgs,
    /// The errno of that.
    pub(super) refusal: AtomicI32,
    /// How many steps were done when one failed. `usize::MAX`: none has.
    pub(super) failed: AtomicUsize,
    pub(super) errno: AtomicI32,
}

impl Orders {
    pub(super) const fn new(steps: Vec<Step>, first: usize, args: CloneArgs) -> Self {
        Self {
            steps,
            first,
            args,
            refusal: AtomicI32::new(0),
            failed: AtomicUsize::new(usize::MAX),
            errno: AtomicI32::new(0),
        }
    }

    /// Whether all steps of a range succeed.
    unsafe fn follow(&self, from: usize, to: usize) -> bool {
        for (done, step) in self.steps.iter().enumerate().take(to).skip(from) {
            // SAFETY: what the parent has prepared.
            let errno = unsafe { perform(step) };
            if errno == PANICKED {
                abort(format_args!("a closure of pre_exec has panicked"));
            }
            if errno != 0 {
                self.errno.store(errno, Ordering::Relaxed);
                self.failed.store(done, Ordering::Relaxed);
                // The step, or one before it, may have changed the credentials.
                let is_of_mark = |step: &&Step| matches!(step, Step::Mark | Step::LookForMark(_));
                if let Some(look @ Step::LookForMark(_)) =
                    self.steps.iter().take(to).skip(done).find(is_of_mark)
                {
                    // SAFETY: what the parent has prepared.
                    unsafe { perform(look) };
                }
                return false;
            }
        }
        true
    }
}

/// The child's whole life.
pub(super) unsafe extern "C" fn live(orders: *mut c_void) -> c_int {
    // SAFETY: the parent passes its orders, and waits until this child no longer has its memory.
    unsafe {
        let orders = &*orders.cast::<Orders>();
        orders.follow(orders.first, orders.steps.len());
    }
    127
}

/// An intermediate child's whole life. It sleeps until the program's child no longer has the memory, or until it is killed.
pub(super) unsafe extern "C" fn live_between(orders: *mut c_void) -> c_int {
    // SAFETY: the parent passes its orders, and waits until this child no longer has its memory. The arguments make a child
    // on this stack, and VFORK keeps this child from using it meanwhile.
    unsafe {
        let shared = &*orders.cast::<Orders>();
        if shared.follow(0, shared.first) {
            let result = start_raw(&shared.args, live, orders);
            if result < 0 {
                shared.refusal.store(-result as c_int, Ordering::Relaxed);
            }
        }
    }
    0
}

/// An errno, 0, or `PANICKED`.
pub(super) unsafe fn perform(step: &Step) -> c_int {
    // SAFETY: the pointers are the parent's, as it has prepared them.
    unsafe {
        match *step {
            Step::Call { number, arguments, tolerated } => {
                let errno = call(number, arguments);
                if errno == tolerated { 0 } else { errno }
            }
            Step::ResetHandlers => {
                for signal in 1..=NSIG as c_long {
                    reset(signal);
                }
                0
            }
            Step::LookForParent { pid, pidfd } => {
                let parent = clone_trampoline_syscall(libc::SYS_getppid, 0, 0, 0, 0, 0, 0);
                // 0: the parent has no pid in the child's pid namespace
                let is_there = parent == pid || parent == 0 && !has_ended(pidfd);
                if is_there { 0 } else { libc::ESRCH }
            }
            Step::AwaitMaps(word) => await_maps(&*word),
            Step::Write { path, text, length } => write(path, text, length),
            Step::Mark => call(libc::SYS_prctl, [c_long::from(libc::PR_SET_PDEATHSIG), MARK, 0, 0, 0, 0]),
            Step::LookForMark(changed) => match death_signal() {
                0 => {
                    (*changed).store(true, Ordering::Relaxed);
                    0
                }
                MARK => call(libc::SYS_prctl, [c_long::from(libc::PR_SET_PDEATHSIG), 0, 0, 0, 0, 0]),
                _ => 0,
            },
            Step::DropBounding(keep) => drop_bounding(keep),
            Step::Foreground(terminal) => {
                let group = clone_trampoline_syscall(libc::SYS_getpgid, 0, 0, 0, 0, 0, 0) as c_int;
                let arguments = [c_long::from(terminal), TIOCSPGRP, address(&raw const group), 0, 0, 0];
                call(libc::SYS_ioctl, arguments)
            }
            Step::Closures(closures) => (*closures).run(),
            Step::Execute { candidates, arguments, environment } => {
                execute(candidates, arguments, environment)
            }
        }
    }
}

unsafe fn call(number: c_long, [a, b, c, d, e, f]: [c_long; 6]) -> c_int {
    // SAFETY: the caller's promise.
    let result = unsafe { clone_trampoline_syscall(number, a, b, c, d, e, f) };
    if (-4095..0).contains(&result) { -result as c_int } else { 0 }
}

/// The last real-time signal but one, as a signal at the parent's death, where no other one was asked for. It would end the
/// child, as it should.
const MARK: c_long = NSIG as c_long - 1;

unsafe fn death_signal() -> c_long {
    let mut signal: c_int = 0;
    // SAFETY: a place for the signal.
    unsafe {
        call(libc::SYS_prctl, [c_long::from(libc::PR_GET_PDEATHSIG), address(&raw mut signal), 0, 0, 0, 0])
    };
    c_long::from(signal)
}

/// Whether the process of a pidfd has ended.
unsafe fn has_ended(pidfd: c_int) -> bool {
    /// `struct pollfd`.
    #[repr(C)]
    struct PollFd {
        fd: c_int,
        events: i16,
        revents: i16,
    }
    let mut fd = PollFd { fd: pidfd, events: libc::POLLIN, revents: 0 };
    // zeros in every layout of a timespec
    let now = [0_u64; 2];
    // SAFETY: places for what is there, and a time.
    unsafe {
        let arguments = [address(&raw mut fd), 1, address(now.as_ptr()), 0, 0, 0];
        call(libc::SYS_ppoll, arguments);
    }
    fd.revents & libc::POLLIN != 0
}

/// The states of the word that the kernel clears when the first child no longer has the memory.
pub(super) const RUNS: u32 = 1;
pub(super) const AWAITS_MAPS: u32 = 2;
pub(super) const HAS_MAPS: u32 = 3;
pub(super) const HAS_NO_MAPS: u32 = 4;

unsafe fn await_maps(word: &AtomicU32) -> c_int {
    let place = word.as_ptr().expose_provenance() as c_long;
    word.store(AWAITS_MAPS, Ordering::Release);
    // SAFETY: a futex word that outlives this child.
    unsafe {
        call(libc::SYS_futex, [place, c_long::from(libc::FUTEX_WAKE), c_long::from(c_int::MAX), 0, 0, 0]);
        while word.load(Ordering::Acquire) == AWAITS_MAPS {
            call(libc::SYS_futex, [place, c_long::from(libc::FUTEX_WAIT), AWAITS_MAPS as c_long, 0, 0, 0]);
        }
    }
    // It is 0 if the intermediate child was killed.
    let seen = word.compare_exchange(HAS_MAPS, RUNS, Ordering::Relaxed, Ordering::Relaxed);
    if seen.is_ok() { 0 } else { libc::ECANCELED }
}

unsafe fn write(path: c_long, text: c_long, length: c_long) -> c_int {
    const HOW: c_long = (libc::O_WRONLY | libc::O_CLOEXEC) as c_long;
    // SAFETY: a path and a text, as the parent has prepared them; a descriptor of this child's own.
    unsafe {
        let fd = clone_trampoline_syscall(libc::SYS_openat, c_long::from(libc::AT_FDCWD), path, HOW, 0, 0, 0);
        if fd < 0 {
            return -fd as c_int;
        }
        let errno = call(libc::SYS_write, [fd, text, length, 0, 0, 0]);
        call(libc::SYS_close, [fd, 0, 0, 0, 0, 0]);
        errno
    }
}

/// The kernel knows fewer than 64 of them, and says EINVAL after its last one.
unsafe fn drop_bounding(keep: u64) -> c_int {
    for capability in 0..64 {
        // SAFETY: no pointers.
        unsafe {
            let read = c_long::from(libc::PR_CAPBSET_READ);
            match clone_trampoline_syscall(libc::SYS_prctl, read, capability, 0, 0, 0, 0) {
                1 if keep >> capability & 1 == 0 => {
                    let errno =
                        call(libc::SYS_prctl, [c_long::from(libc::PR_CAPBSET_DROP), capability, 0, 0, 0, 0]);
                    if errno != 0 {
                        return errno;
                    }
                }
                0 | 1 => {}
                _ => break,
            }
        }
    }
    0
}

unsafe fn reset(signal: c_long) {
    const DEFAULT: KernelAction = action(libc::SIG_DFL);
    let mut old = DEFAULT;
    let (place, size) = (address(&raw mut old), (NSIG / 8) as c_long);
    // SAFETY: each place is as large as any architecture's action. The kernel refuses SIGKILL and SIGSTOP, which have no
    // handlers.
    unsafe {
        call(libc::SYS_rt_sigaction, [signal, 0, place, size, 0, 0]);
        if old[HANDLER] != libc::SIG_DFL && old[HANDLER] != libc::SIG_IGN {
            call(libc::SYS_rt_sigaction, [signal, address(&DEFAULT), 0, size, 0, 0]);
        }
    }
}

/// As execvp(3). If a candidate is missing, or may not be executed, the next one is tried. If none is executed, the error is
/// EACCES if any candidate gave it, and otherwise that of the last one.
unsafe fn execute(
    mut candidates: *const c_long,
    arguments: *const c_long,
    environment: *const c_long,
) -> c_int {
    let (mut last, mut denied) = (libc::ENOENT, false);
    loop {
        // SAFETY: lists of strings that end with null.
        let errno = unsafe {
            let candidate = *candidates;
            if candidate == 0 {
                return if denied { libc::EACCES } else { last };
            }
            candidates = candidates.add(1);
            call(libc::SYS_execve, [candidate, address(arguments), address(environment), 0, 0, 0])
        };
        match errno {
            libc::EACCES => denied = true,
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => last = errno,
            _ => return errno,
        }
    }
}

/// An action for rt_sigaction(2).
pub(super) const fn action(handler: usize) -> KernelAction {
    let mut action = [0; 6];
    action[HANDLER] = handler;
    action
}

/// A pointer as an argument.
pub(super) fn address<T>(place: *const T) -> c_long {
    place.expose_provenance() as c_long
}

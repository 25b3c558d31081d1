//! The code that the child runs before it executes its program. The child performs a list of steps that its parent has
//! prepared.
//!
//! The child runs beside a thread of its parent, on a part of that thread's stack and with its thread-local storage. So
//! nothing here may touch thread-local storage: no function of libc, no allocation, no panic. Only closures may,
//! because the parent sleeps while they run. `ci/check` makes sure that this file uses only constants of libc.

#![allow(unsafe_code)]

use super::closures::{Closures, PANICKED};
use crate::raw::{CloneArgs, clone_trampoline_syscall};
use crate::start::arch::{NSIG, mips};
use crate::start::end::abort;
use crate::start::kernel_signals::KernelAction;
use crate::start::start_raw;
use std::ffi::{c_int, c_long, c_void};
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, AtomicUsize, Ordering};

/// The number of the ioctl, in the type of an argument.
const TIOCSPGRP: c_long = libc::TIOCSPGRP as c_long;

/// The index of the word of an action that holds the handler.
const HANDLER: usize = if mips() { 1 } else { 0 };

/// One step of a start. Its addresses point to the parent's memory, which stays valid as long as the child uses it.
#[derive(Debug)]
pub(super) enum Step {
    /// Makes a system call. The errno `tolerated` does not count as a failure.
    Call { number: c_long, arguments: [c_long; 6], tolerated: c_int },
    /// Sets the default action for each signal that has a handler, if the kernel cannot do so at birth.
    ResetHandlers,
    /// Fails if the parent ended before the child asked for the signal at its death. If the parent has no pid in the
    /// child's pid namespace, `pidfd` refers to it.
    LookForParent { pid: c_long, pidfd: c_int },
    /// Waits until the parent has written the maps of ids.
    AwaitMaps(*const AtomicU32),
    /// Writes a text of this length to a file.
    Write { path: c_long, text: c_long, length: c_long },
    /// Sets [`MARK`] as the signal at the parent's death.
    Mark,
    /// Notes whether the signal at the parent's death is gone, because the kernel clears it after a change of
    /// credentials. Removes a [`MARK`] that is still there.
    LookForMark(*const AtomicBool),
    /// Removes all capabilities but these from the bounding set.
    DropBounding(u64),
    /// Makes the child's process group the foreground one of a terminal.
    Foreground(c_int),
    /// Runs the closures. The parent sleeps meanwhile.
    Closures(*const Closures),
    /// Executes the first candidate that exists. Each of these lists of strings ends with null.
    Execute { candidates: *const c_long, arguments: *const c_long, environment: *const c_long },
}

/// The data that the parent and its children share. The children write `failed`, `errno` and `refusal`, and only read
/// the rest.
#[derive(Debug)]
pub(super) struct Orders {
    pub(super) steps: Vec<Step>,
    /// The index of the first step for the program's child. An intermediate child performs the steps before it. When a
    /// task joins a pid namespace, only its later children are in that namespace.
    pub(super) first: usize,
    /// The arguments with which an intermediate child starts the program's child.
    pub(super) args: CloneArgs,
    /// The errno of that start, or 0.
    pub(super) refusal: AtomicI32,
    /// The index of the step that failed. `usize::MAX` means that none has failed.
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

    /// Performs a range of the steps. Returns whether all of them succeeded.
    unsafe fn follow(&self, from: usize, to: usize) -> bool {
        for (done, step) in self.steps.iter().enumerate().take(to).skip(from) {
            // SAFETY: the parent has prepared the step.
            let errno = unsafe { perform(step) };
            if errno == PANICKED {
                abort(format_args!("a closure of pre_exec has panicked"));
            }
            if errno != 0 {
                self.errno.store(errno, Ordering::Relaxed);
                self.failed.store(done, Ordering::Relaxed);
                // This step or one before it may have changed the credentials, so look for the mark now.
                let is_of_mark = |step: &&Step| matches!(step, Step::Mark | Step::LookForMark(_));
                if let Some(look @ Step::LookForMark(_)) =
                    self.steps.iter().take(to).skip(done).find(is_of_mark)
                {
                    // SAFETY: the parent has prepared the step.
                    unsafe { perform(look) };
                }
                return false;
            }
        }
        true
    }
}

/// The program's child, from its birth until it executes the program or fails.
pub(super) unsafe extern "C" fn live(orders: *mut c_void) -> c_int {
    // SAFETY: the parent passes its orders, and waits until this child no longer has its memory.
    unsafe {
        let orders = &*orders.cast::<Orders>();
        orders.follow(orders.first, orders.steps.len());
    }
    127
}

/// An intermediate child, from its birth to its end. It sleeps until the program's child no longer has the memory, or
/// until it is killed.
pub(super) unsafe extern "C" fn live_between(orders: *mut c_void) -> c_int {
    // SAFETY: the parent passes its orders, and waits until this child no longer has its memory. The new child runs on
    // this stack, and VFORK keeps this child from using the stack meanwhile.
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

/// Performs a step. Returns an errno, 0 or `PANICKED`.
pub(super) unsafe fn perform(step: &Step) -> c_int {
    // SAFETY: the parent has prepared the pointers in the step.
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
                // getppid(2) is 0 if the parent has no pid in the child's pid namespace.
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
    // SAFETY: the caller promises that the arguments are valid for this call.
    let result = unsafe { clone_trampoline_syscall(number, a, b, c, d, e, f) };
    if (-4095..0).contains(&result) { -result as c_int } else { 0 }
}

/// A signal at the parent's death that serves as a mark while no requested one is set: the last real-time signal but
/// one. If the parent dies, this signal ends the child, as it should.
const MARK: c_long = NSIG as c_long - 1;

unsafe fn death_signal() -> c_long {
    let mut signal: c_int = 0;
    // SAFETY: the address is that of `signal`, which has the right type.
    unsafe {
        call(libc::SYS_prctl, [c_long::from(libc::PR_GET_PDEATHSIG), address(&raw mut signal), 0, 0, 0, 0])
    };
    c_long::from(signal)
}

/// Returns whether the process of a pidfd has ended.
unsafe fn has_ended(pidfd: c_int) -> bool {
    /// `struct pollfd`.
    #[repr(C)]
    struct PollFd {
        fd: c_int,
        events: i16,
        revents: i16,
    }
    let mut fd = PollFd { fd: pidfd, events: libc::POLLIN, revents: 0 };
    // The time is zero in every layout of a timespec.
    let now = [0_u64; 2];
    // SAFETY: the addresses are those of one pollfd and of a timespec.
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
    // SAFETY: the futex word outlives this child.
    unsafe {
        call(libc::SYS_futex, [place, c_long::from(libc::FUTEX_WAKE), c_long::from(c_int::MAX), 0, 0, 0]);
        while word.load(Ordering::Acquire) == AWAITS_MAPS {
            call(libc::SYS_futex, [place, c_long::from(libc::FUTEX_WAIT), AWAITS_MAPS as c_long, 0, 0, 0]);
        }
    }
    // The word is 0 if the intermediate child was killed.
    let seen = word.compare_exchange(HAS_MAPS, RUNS, Ordering::Relaxed, Ordering::Relaxed);
    if seen.is_ok() { 0 } else { libc::ECANCELED }
}

unsafe fn write(path: c_long, text: c_long, length: c_long) -> c_int {
    const HOW: c_long = (libc::O_WRONLY | libc::O_CLOEXEC) as c_long;
    // SAFETY: the parent has prepared the path and the text. The descriptor is this child's own.
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

/// Removes all capabilities that are not in `keep` from the bounding set. The kernel knows fewer than 64 capabilities,
/// and returns EINVAL for numbers after its last one.
unsafe fn drop_bounding(keep: u64) -> c_int {
    for capability in 0..64 {
        // SAFETY: these calls take no pointers.
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
    // SAFETY: both places are as large as the action of any architecture. The kernel refuses SIGKILL and SIGSTOP, but
    // these have no handlers.
    unsafe {
        call(libc::SYS_rt_sigaction, [signal, 0, place, size, 0, 0]);
        if old[HANDLER] != libc::SIG_DFL && old[HANDLER] != libc::SIG_IGN {
            call(libc::SYS_rt_sigaction, [signal, address(&DEFAULT), 0, size, 0, 0]);
        }
    }
}

/// Executes the program like execvp(3). If a candidate is missing or may not be executed, the next one is tried. If all
/// fail, the error is EACCES if any candidate gave it, and otherwise the error of the last one.
unsafe fn execute(
    mut candidates: *const c_long,
    arguments: *const c_long,
    environment: *const c_long,
) -> c_int {
    let (mut last, mut denied) = (libc::ENOENT, false);
    loop {
        // SAFETY: each of the lists of strings ends with null.
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

/// Makes an action for rt_sigaction(2).
pub(super) const fn action(handler: usize) -> KernelAction {
    let mut action = [0; 6];
    action[HANDLER] = handler;
    action
}

/// Turns a pointer into an argument of a system call.
pub(super) fn address<T>(place: *const T) -> c_long {
    place.expose_provenance() as c_long
}

//! What the child does before it executes its program: it walks a list that its parent has prepared.
//!
//! It runs beside the thread whose thread-local storage it has, on a part of that thread's stack. So nothing here may touch
//! thread-local storage: no function of libc, no allocation, no panic. Only closures may, because the parent sleeps while
//! they run. `ci/check` sees to it that only constants of libc are used.

#![allow(unsafe_code)]

use super::closures::{Closures, PANICKED};
use crate::arch::{NSIG, mips};
use crate::end::abort;
use crate::kernel_signals::KernelAction;
use crate::raw::clone_trampoline_syscall;
use std::ffi::{c_int, c_long, c_void};
use std::sync::atomic::{AtomicI32, AtomicUsize, Ordering};

/// The index of the word that holds the handler.
const HANDLER: usize = if mips() { 1 } else { 0 };

/// A step. Its addresses are those of the parent's memory, which outlives the child's use of it.
#[derive(Debug)]
pub(super) enum Step {
    /// A system call. The errno `tolerated` does not count as a failure.
    Call { number: c_long, arguments: [c_long; 6], tolerated: c_int },
    /// Default actions for what has a handler, where the kernel cannot do it at birth.
    ResetHandlers,
    /// Fails if the parent, which has this pid, has ended before the signal at its death was asked for.
    LookForParent(c_long),
    /// Runs the closures; the parent sleeps.
    Closures(*const Closures),
    /// Executes the first candidate that is there. Three lists of strings, each of which ends with null.
    Execute { candidates: *const c_long, arguments: *const c_long, environment: *const c_long },
}

/// What the two sides share. The child only writes `failed` and `errno`.
#[derive(Debug)]
pub(super) struct Orders {
    pub(super) steps: Vec<Step>,
    /// How many steps were done when one failed. `usize::MAX`: none has.
    pub(super) failed: AtomicUsize,
    pub(super) errno: AtomicI32,
}

/// The child's whole life.
pub(super) unsafe extern "C" fn live(orders: *mut c_void) -> c_int {
    // SAFETY: the parent passes its orders, and waits until this child no longer has its memory.
    let orders = unsafe { &*orders.cast::<Orders>() };
    for (done, step) in orders.steps.iter().enumerate() {
        // SAFETY: what the parent has prepared.
        let errno = unsafe { perform(step) };
        if errno == PANICKED {
            abort(format_args!("a closure of pre_exec has panicked"));
        }
        if errno != 0 {
            orders.errno.store(errno, Ordering::Relaxed);
            orders.failed.store(done, Ordering::Relaxed);
            break;
        }
    }
    127
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
            Step::LookForParent(pid) => {
                let parent = clone_trampoline_syscall(libc::SYS_getppid, 0, 0, 0, 0, 0, 0);
                // 0: the parent has no pid in the child's pid namespace
                if parent == pid || parent == 0 { 0 } else { libc::ESRCH }
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
/// EACCES if any candidate gave it, and otherwise ENOENT.
unsafe fn execute(
    mut candidates: *const c_long,
    arguments: *const c_long,
    environment: *const c_long,
) -> c_int {
    let mut last = libc::ENOENT;
    loop {
        // SAFETY: lists of strings that end with null.
        let errno = unsafe {
            let candidate = *candidates;
            if candidate == 0 {
                return last;
            }
            candidates = candidates.add(1);
            call(libc::SYS_execve, [candidate, address(arguments), address(environment), 0, 0, 0])
        };
        match errno {
            libc::EACCES => last = errno,
            libc::ENOENT | libc::ENOTDIR | libc::ESTALE | libc::ENODEV | libc::ETIMEDOUT => {}
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

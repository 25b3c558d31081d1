//! Chooses and makes the system call that starts a task. That is clone(2) if it can express the request, because many
//! seccomp filters and emulators allow clone(2) but refuse clone3(2). Otherwise it is clone3(2). There is no fallback:
//! if clone3(2) is needed and does not work, the start fails, and nothing that was asked for is dropped.

#![allow(unsafe_code)]

pub(crate) mod alone;
pub(crate) mod arch;
pub(crate) mod dumpable;
pub(crate) mod end;
pub(crate) mod id_map;
pub(crate) mod kernel_signals;
pub(crate) mod pending;
pub(crate) mod probe;
pub(crate) mod why;

use self::arch::stack_pointer;
use self::why::{NEEDS_CLONE3, explain, no_such_tid};
use crate::raw::{ChildFn, CloneArgs, clone_trampoline, clone3_trampoline};
use crate::{CloneFlags, Error, Stage, Syscall};
use std::ffi::{c_int, c_long, c_ulong, c_void};
use std::hint::black_box;
use std::mem::MaybeUninit;
use std::ptr;

/// Returns the call that can express these flags.
pub(crate) fn call_for(flags: CloneFlags) -> Syscall {
    if NEEDS_CLONE3.iter().any(|(flag, _)| flags.contains(*flag)) { Syscall::Clone3 } else { Syscall::Clone }
}

/// Returns the call that can express everything in `args`.
fn call_of(args: &CloneArgs) -> Syscall {
    let flags = CloneFlags::from_bits_retain(args.flags);
    // clone(2) has only one address to store both.
    let both = CloneFlags::PIDFD.union(CloneFlags::PARENT_SETTID);
    if args.set_tid_size != 0 || flags.contains(both) { Syscall::Clone3 } else { call_for(flags) }
}

/// Room for a few frames of this crate, and the smallest stack that a child gets.
pub(crate) const ROOM: usize = 64 * 1024;

/// Returns how much of its own stack a waiting thread keeps below its frame. It needs room for the frames in which it
/// waits, and for the handlers of the two signals that glibc keeps for itself. The kernel says how large a handler's
/// frame is. The thread keeps no more, because glibc gives deeper pages back when a thread ends, and the next thread
/// would have to fault them in again.
fn gap() -> usize {
    // SAFETY: the call reads the auxiliary vector. Kernels without this entry (such as x86 before Linux 5.14) support
    // no registers that would need more than 8192 bytes.
    let frame = match unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize {
        0 => 8192,
        frame => frame,
    };
    2 * frame + 4096
}

/// Touches the stack down to where a child of [`Stack::BelowCaller`] begins, and 16 KiB further, because the child
/// cannot handle an overflow itself at first. If the caller's stack ends here, it hits the guard page, as in any other
/// function. So no child is started in the memory behind the guard page.
pub(crate) fn reach_below() {
    reach(gap() + 16 * 1024);
}

/// Touches `distance` bytes of the stack, one frame after the other. Each frame is smaller than a guard page and is
/// written to, so no frame can skip the guard page.
#[inline(never)]
fn reach(distance: usize) {
    let mut frame = [MaybeUninit::<u8>::uninit(); 2048];
    black_box(&mut frame)[0].write(0);
    if distance > frame.len() {
        reach(distance - frame.len());
    }
    // Use the frame after the call, because a tail call would need no frame of its own.
    black_box(&mut frame);
}

/// The place of a task's stack.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stack {
    /// The stack in `args`. If `args` has none, the task runs on the caller's stack. Then the caller sleeps (`VFORK`),
    /// or the child has a copy of the memory.
    InArgs,
    /// The part of the caller's stack below the frames in which it waits: see [`reach_below`].
    BelowCaller,
    /// The same part of a stack with these bounds. The caller has to be on that stack.
    Within { lowest: usize, size: usize },
}

/// Starts a task and returns its pid.
///
/// # Safety
///
/// The conditions of [`clone3_trampoline`] hold for `args`, `f` and `arg`.
#[inline(never)] // keeps this frame small, and below all frames of the caller
pub(crate) unsafe fn start(
    args: &CloneArgs,
    stack: Stack,
    f: ChildFn,
    arg: *mut c_void,
) -> Result<libc::pid_t, Error> {
    let mut args = *args;
    let here = stack_pointer();
    match stack {
        Stack::InArgs => {}
        // The size does not matter, because the kernel only adds it to the address.
        Stack::BelowCaller => {
            args.stack = here.saturating_sub(gap() + ROOM) as u64;
            args.stack_size = ROOM as u64;
        }
        Stack::Within { lowest, size } => {
            if !(lowest..lowest + size).contains(&here) {
                let hint = "this thread does not run on the stack that pthread_getattr_np(3) returns";
                return Err(Error::new(Stage::Thread, libc::EFAULT, hint));
            }
            args.stack = lowest as u64;
            args.stack_size = here.saturating_sub(gap()).saturating_sub(lowest) as u64;
            if args.stack_size < ROOM as u64 {
                return Err(Error::new(Stage::Thread, libc::ENOMEM, "thread-local variables fill the stack"));
            }
        }
    }
    // SAFETY: the caller guarantees this.
    let result = unsafe { start_raw(&args, f, arg) };
    if result > 0 { Ok(result as libc::pid_t) } else { Err(refusal(&args, -result as c_int)) }
}

/// Starts a task and returns its pid or a negative errno. Uses no thread-local storage.
///
/// # Safety
///
/// The conditions of [`clone3_trampoline`] hold for `args`, `f` and `arg`.
#[inline]
pub(crate) unsafe fn start_raw(args: &CloneArgs, f: ChildFn, arg: *mut c_void) -> c_long {
    // SAFETY: the caller guarantees this. clone(2) takes the top of the stack, and stores the pidfd where parent_tid
    // points. `call_of` does not choose it for a pidfd together with a parent_tid, so one of these two addresses is 0.
    unsafe {
        match call_of(args) {
            Syscall::Clone => clone_trampoline(
                Some(f),
                ptr::with_exposed_provenance_mut((args.stack + args.stack_size) as usize),
                (args.flags | args.exit_signal) as c_ulong,
                arg,
                ptr::with_exposed_provenance_mut::<c_int>((args.pidfd | args.parent_tid) as usize),
                ptr::null_mut(),
                ptr::with_exposed_provenance_mut::<c_int>(args.child_tid as usize),
            ),
            Syscall::Clone3 => clone3_trampoline(args, size_of::<CloneArgs>(), Some(f), arg),
        }
    }
}

/// Makes the error for a start that the kernel has refused.
pub(crate) fn refusal(args: &CloneArgs, errno: c_int) -> Error {
    let flags = CloneFlags::from_bits_retain(args.flags);
    let stage = match call_of(args) {
        Syscall::Clone => Stage::Clone,
        Syscall::Clone3 => Stage::Clone3,
    };
    let hint = if args.set_tid_size != 0 {
        no_such_tid(errno)
    } else if args.parent_tid != 0 && errno == libc::ENOSYS {
        Some(
            "a child that joins a namespace before its birth needs clone3(2), let through by seccomp filters, and Linux 5.3",
        )
    } else {
        None
    };
    Error::from_errno(stage, errno).with_hint(hint.or_else(|| explain(flags, errno)))
}

//! Which of the two calls starts a task: clone(2) wherever it can express what is asked, since it
//! works under every seccomp filter and emulator; clone3(2) for what it alone can express. There is
//! no falling back: what needs clone3 cannot be had without it, and nothing asked for is dropped.

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

/// The call that can express these flags.
pub(crate) fn call_for(flags: CloneFlags) -> Syscall {
    if NEEDS_CLONE3.iter().any(|(flag, _)| flags.contains(*flag)) { Syscall::Clone3 } else { Syscall::Clone }
}

/// The same for all that is asked for.
fn call_of(args: &CloneArgs) -> Syscall {
    let flags = CloneFlags::from_bits_retain(args.flags);
    // clone(2) has one place for both
    let both = CloneFlags::PIDFD.union(CloneFlags::PARENT_SETTID);
    if args.set_tid_size != 0 || flags.contains(both) { Syscall::Clone3 } else { call_for(flags) }
}

/// Room for a few frames of our own, and the least that is called a stack.
pub(crate) const ROOM: usize = 64 * 1024;

/// How much of its own stack, below its frame, a waiting thread keeps: room for the frames in which it waits, and for the
/// handlers of the two signals that glibc keeps for itself, by the kernel's word for the size of their frames. No more,
/// because glibc gives deeper pages back when a thread ends, and the next thread would have to fault them in again.
fn gap() -> usize {
    // SAFETY: looks into the auxiliary vector. Kernels that do not tell (x86 before Linux 5.14) have no registers that
    // would need more than this.
    let frame = match unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize {
        0 => 8192,
        frame => frame,
    };
    2 * frame + 4096
}

/// Goes down as far as a child of [`Stack::BelowCaller`] begins, and as far as it gets before it handles an overflow itself.
/// Who calls at the end of a stack meets the guard page here, as with any other function, and does not start a child in what
/// lies behind it.
pub(crate) fn reach_below() {
    reach(gap() + 16 * 1024);
}

/// Each frame is smaller than a guard page, and something of it is written.
#[inline(never)]
fn reach(distance: usize) {
    let mut frame = [MaybeUninit::<u8>::uninit(); 2048];
    black_box(&mut frame)[0].write(0);
    if distance > frame.len() {
        reach(distance - frame.len());
    }
    // after the call, or that would need no frame of its own
    black_box(&mut frame);
}

/// Where the stack of a task is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stack {
    /// The one that `args` has. If it has none, it is the caller's own: the caller sleeps (`VFORK`), or the child has a copy of
    /// the memory.
    InArgs,
    /// What lies of the caller's below the frames in which it waits: see [`reach_below`].
    BelowCaller,
    /// The same, of a stack with these bounds, on which the caller has to be.
    Within { lowest: usize, size: usize },
}

/// Starts a task; its pid.
///
/// # Safety
///
/// That of [`clone3_trampoline`], for `args`, `f` and `arg`.
#[inline(never)] // so that this frame is small, and all of the caller's are above it
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
        // Any size will do: the kernel only adds it to the address.
        Stack::BelowCaller => {
            args.stack = here.saturating_sub(gap() + ROOM) as u64;
            args.stack_size = ROOM as u64;
        }
        Stack::Within { lowest, size } => {
            if !(lowest..lowest + size).contains(&here) {
                let hint = "this thread does not run on the stack that pthread_getattr_np(3) tells of it";
                return Err(Error::new(Stage::Thread, libc::EFAULT, hint));
            }
            args.stack = lowest as u64;
            args.stack_size = here.saturating_sub(gap()).saturating_sub(lowest) as u64;
            if args.stack_size < ROOM as u64 {
                return Err(Error::new(Stage::Thread, libc::ENOMEM, "thread-local variables fill the stack"));
            }
        }
    }
    // SAFETY: the caller's promise.
    let result = unsafe { start_raw(&args, f, arg) };
    if result > 0 { Ok(result as libc::pid_t) } else { Err(refusal(&args, -result as c_int)) }
}

/// Starts a task; its pid, or a negative errno. It uses no thread-local storage.
///
/// # Safety
///
/// That of [`clone3_trampoline`], for `args`, `f` and `arg`.
#[inline]
pub(crate) unsafe fn start_raw(args: &CloneArgs, f: ChildFn, arg: *mut c_void) -> c_long {
    // SAFETY: the caller's promise. The two calls differ in how they are told the stack and the
    // pidfd; clone(2) stores that one where parent_tid points, so one of the two is null.
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

/// The error of a start that the kernel has refused.
pub(crate) fn refusal(args: &CloneArgs, errno: c_int) -> Error {
    let flags = CloneFlags::from_bits_retain(args.flags);
    let stage = match call_of(args) {
        Syscall::Clone => Stage::Clone,
        Syscall::Clone3 => Stage::Clone3,
    };
    let hint = if args.set_tid_size != 0 {
        no_such_tid(errno)
    } else if args.parent_tid != 0 && errno == libc::ENOSYS {
        Some("joining a user or pid namespace needs clone3(2), let through by seccomp filters, and Linux 5.3")
    } else {
        None
    };
    Error::from_errno(stage, errno).with_hint(hint.or_else(|| explain(flags, errno)))
}

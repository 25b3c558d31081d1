//! Which of the two calls starts a task: clone(2) wherever it can express what is asked, since it
//! works under every seccomp filter and emulator; clone3(2) for what it alone can express. There is
//! no falling back: what needs clone3 cannot be had without it, and nothing asked for is dropped.

#![allow(unsafe_code)]

use crate::raw::{ChildFn, CloneArgs, clone_trampoline, clone3_trampoline};
use crate::{Call, CloneFlags, Error, Stage};
use std::ffi::{c_int, c_ulong, c_void};
use std::io;
use std::ptr;

/// What only clone3 can express, with the reason that its errno hides.
const NEEDS_CLONE3: &[(CloneFlags, &str)] = &[
    (CloneFlags::NEWTIME, "NEWTIME needs clone3(2), let through by seccomp filters, and Linux 5.6"),
    (
        CloneFlags::CLEAR_SIGHAND,
        "CLEAR_SIGHAND needs clone3(2), let through by seccomp filters, and Linux 5.5",
    ),
    (CloneFlags::INTO_CGROUP, "a cgroup needs clone3(2), let through by seccomp filters, and Linux 5.7"),
    (CloneFlags::NNP, "NNP needs clone3(2), let through by seccomp filters, and Linux 7.1"),
    (CloneFlags::EMPTY_MNTNS, "EMPTY_MNTNS needs clone3(2), let through by seccomp filters, and Linux 7.1"),
];

const NAMESPACES: CloneFlags = CloneFlags::NEWNS
    .union(CloneFlags::EMPTY_MNTNS)
    .union(CloneFlags::NEWUTS)
    .union(CloneFlags::NEWIPC)
    .union(CloneFlags::NEWNET)
    .union(CloneFlags::NEWCGROUP)
    .union(CloneFlags::NEWPID)
    .union(CloneFlags::NEWTIME);

/// The call that can express these flags.
pub(crate) fn call_for(flags: CloneFlags) -> Call {
    if NEEDS_CLONE3.iter().any(|(flag, _)| flags.contains(*flag)) { Call::Clone3 } else { Call::Clone }
}

/// Room for a few frames of our own, and the least that is called a stack.
pub(crate) const ROOM: usize = 64 * 1024;

/// What a thread that lends its stack keeps of it below its frame: those in which it waits, and the
/// handlers of two signals that libc keeps for itself, by the kernel's word for the size of their
/// frames. As little as that: what lies further down is given back to the kernel at a thread's end by
/// glibc, and has to be faulted in again by the next.
fn gap() -> usize {
    // SAFETY: looks into the auxiliary vector. 0: before Linux 5.14 on x86.
    match unsafe { libc::getauxval(libc::AT_MINSIGSTKSZ) } as usize {
        0 => ROOM,
        frame => 2 * frame + 4096,
    }
}

/// Starts a task; its pid. Its stack is the caller's, or, if `args` has the lowest address of that, the
/// part of it that lies below what the caller needs to wait.
///
/// # Safety
///
/// That of [`clone3_trampoline`], for `args`, `f` and `arg`.
#[inline(never)] // so that this frame is small, and all of the caller's are above it
pub(crate) unsafe fn start(args: &CloneArgs, f: ChildFn, arg: *mut c_void) -> Result<libc::pid_t, Error> {
    let mut args = *args;
    if args.stack != 0 {
        let here = ptr::from_ref(&args).addr() as u64;
        args.stack_size = here.saturating_sub(gap() as u64).saturating_sub(args.stack);
        if args.stack_size < ROOM as u64 {
            return Err(Error::new(Stage::Thread, libc::ENOMEM, "thread-local variables fill the stack"));
        }
    }
    let flags = CloneFlags::from_bits_retain(args.flags);
    let call = call_for(flags);
    // SAFETY: the caller's promise. The two calls differ in how they are told the stack and the
    // pidfd; clone(2) stores that one where parent_tid points.
    let result = unsafe {
        match call {
            Call::Clone => clone_trampoline(
                Some(f),
                ptr::with_exposed_provenance_mut((args.stack + args.stack_size) as usize),
                (args.flags | args.exit_signal) as c_ulong,
                arg,
                ptr::with_exposed_provenance_mut::<c_int>(args.pidfd as usize),
                ptr::null_mut(),
                ptr::with_exposed_provenance_mut::<c_int>(args.child_tid as usize),
            ),
            Call::Clone3 => clone3_trampoline(&args, size_of::<CloneArgs>(), Some(f), arg),
        }
    };
    if result > 0 {
        return Ok(result as libc::pid_t);
    }
    let stage = match call {
        Call::Clone => Stage::Clone,
        Call::Clone3 => Stage::Clone3,
    };
    let errno = -result as i32;
    Err(Error::from_io(stage, &io::Error::from_raw_os_error(errno)).with_hint(explain(flags, errno)))
}

/// What the errno of either call hides.
fn explain(flags: CloneFlags, errno: c_int) -> Option<&'static str> {
    let clone3 = NEEDS_CLONE3.iter().find(|(flag, _)| flags.contains(*flag)).map(|(_, hint)| *hint);
    match errno {
        libc::EPERM if flags.contains(CloneFlags::NEWUSER) => Some(
            "NEWUSER is refused: by kernel.unprivileged_userns_clone, AppArmor \
             (kernel.apparmor_restrict_unprivileged_userns), a seccomp filter, or inside a chroot",
        ),
        libc::EPERM if flags.intersects(NAMESPACES) => Some(
            "a new namespace needs CAP_SYS_ADMIN, which NEWUSER gives, and a seccomp filter that allows it",
        ),
        libc::ENOSPC if flags.intersects(NAMESPACES | CloneFlags::NEWUSER) => {
            Some("one of the limits of /proc/sys/user/max_*_namespaces, or of their nesting, is reached")
        }
        libc::ENOMEM => Some(
            "if memory is not short: the init of the pid namespace that the caller entered by \
             unshare(2) or setns(2) has ended, so that nothing can be started there",
        ),
        libc::EAGAIN => Some("RLIMIT_NPROC, the cgroup's pids.max or kernel.threads-max is reached"),
        libc::ENOSYS | libc::EPERM | libc::EINVAL | libc::E2BIG => clone3,
        _ => None,
    }
}

//! The flags that exclude or need each other. The safe tier looks in this one table before a call, because the kernel
//! answers every conflict with the same bare `EINVAL`.
//!
//! Four of the kernel's conflicts depend on the caller and cannot be seen in the flags. They are `PARENT` in the init
//! of a pid namespace, `THREAD` or `NEWPID` after unshare(2) or setns(2) with a pid namespace, and, before about Linux
//! 6.2, `VM` after unshare(2) or setns(2) with a time namespace.

use crate::CloneFlags;
use core::ffi::c_int;
use core::fmt;

/// The system calls that start a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Syscall {
    /// clone(2).
    Clone,
    /// clone3(2), Linux 5.3.
    Clone3,
}

/// Flags that the kernel refuses together, and the reason.
///
/// ```
/// use clone_trampoline::{Syscall, CloneFlags, Conflict};
///
/// let conflict = Conflict::find(CloneFlags::SIGHAND, libc::SIGCHLD, Syscall::Clone).unwrap();
/// assert_eq!(conflict.to_string(), "SIGHAND needs VM: a handler is an address in the memory");
/// assert!(Conflict::find(CloneFlags::FILES, libc::SIGCHLD, Syscall::Clone).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Conflict {
    /// The rule is for calls with all of these flags.
    flags: CloneFlags,
    /// A call with them must have none of these.
    excludes: CloneFlags,
    /// A call with them must have all of these.
    needs: CloneFlags,
    /// The one call that has the rule, or None if both have it.
    only: Option<Syscall>,
    message: &'static str,
}

impl Conflict {
    /// Returns the first conflict among flags for `syscall` with an exit signal (0 for none).
    ///
    /// This is for flags that the running kernel knows. The kernel answers each conflict with `EINVAL`, and refuses no
    /// other set of flags for the flags alone. (Before Linux 6.9 it also refuses `PIDFD` with `THREAD`.) clone(2)
    /// silently drops the flags that only clone3(2) can express, and this function does not look for them.
    #[must_use]
    pub fn find(flags: CloneFlags, exit_signal: c_int, syscall: Syscall) -> Option<&'static Self> {
        let flags = if exit_signal == 0 { flags } else { flags | EXIT_SIGNAL };
        KERNEL.iter().find(|rule| rule.only.is_none_or(|only| only == syscall) && rule.is_broken_by(flags))
    }

    /// Returns the first conflict for a child that shares memory and uses its parent's libc. The kernel itself would
    /// allow these flags.
    #[cfg(feature = "std")]
    pub(crate) fn of_shared_libc(flags: CloneFlags) -> Option<&'static Self> {
        SHARED_LIBC.iter().find(|rule| rule.is_broken_by(flags))
    }

    /// Returns the sentence that names the flags and the reason.
    #[must_use]
    pub const fn message(&self) -> &'static str {
        self.message
    }

    const fn is_broken_by(&self, flags: CloneFlags) -> bool {
        flags.contains(self.flags) && (flags.intersects(self.excludes) || !flags.contains(self.needs))
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message)
    }
}

/// Stands for an exit signal in the rules below. The kernel has no such flag.
const EXIT_SIGNAL: CloneFlags = CloneFlags::from_bits_retain(1 << 63);

const fn excludes(flags: CloneFlags, excludes: CloneFlags, message: &'static str) -> Conflict {
    Conflict { flags, excludes, needs: CloneFlags::empty(), only: None, message }
}

const fn needs(flags: CloneFlags, needs: CloneFlags, message: &'static str) -> Conflict {
    Conflict { flags, excludes: CloneFlags::empty(), needs, only: None, message }
}

const fn only(syscall: Syscall, rule: Conflict) -> Conflict {
    Conflict { only: Some(syscall), ..rule }
}

/// The rules of `copy_process`, `clone3_args_valid` and `copy_namespaces` in the kernel's source.
const KERNEL: &[Conflict] = &[
    excludes(
        CloneFlags::NEWNS,
        CloneFlags::FS,
        "NEWNS cannot be combined with FS: a root directory cannot be shared between two mount namespaces",
    ),
    excludes(
        CloneFlags::EMPTY_MNTNS,
        CloneFlags::FS,
        "EMPTY_MNTNS cannot be combined with FS: a root directory cannot be shared between two mount namespaces",
    ),
    excludes(
        CloneFlags::NEWUSER,
        CloneFlags::FS,
        "NEWUSER cannot be combined with FS: a chroot in the namespace would change the parent's root as well",
    ),
    excludes(
        CloneFlags::NEWIPC,
        CloneFlags::SYSVSEM,
        "NEWIPC cannot be combined with SYSVSEM: undo operations name semaphores of one IPC namespace",
    ),
    needs(CloneFlags::SIGHAND, CloneFlags::VM, "SIGHAND needs VM: a handler is an address in the memory"),
    needs(
        CloneFlags::THREAD,
        CloneFlags::SIGHAND,
        "THREAD needs SIGHAND: the threads of a process have one table of signal handlers",
    ),
    excludes(
        CloneFlags::THREAD,
        CloneFlags::NEWUSER,
        "THREAD cannot be combined with NEWUSER: a process has one user namespace",
    ),
    excludes(
        CloneFlags::THREAD,
        CloneFlags::NEWPID,
        "THREAD cannot be combined with NEWPID: a process has one pid namespace",
    ),
    excludes(
        CloneFlags::CLEAR_SIGHAND,
        CloneFlags::SIGHAND,
        "CLEAR_SIGHAND cannot be combined with SIGHAND: it would reset the parent's handlers",
    ),
    excludes(
        CloneFlags::AUTOREAP,
        CloneFlags::THREAD,
        "AUTOREAP cannot be combined with THREAD: only a process is reaped",
    ),
    excludes(
        CloneFlags::AUTOREAP,
        CloneFlags::PARENT,
        "AUTOREAP cannot be combined with PARENT: the grandparent has to reap the child",
    ),
    excludes(
        CloneFlags::AUTOREAP,
        EXIT_SIGNAL,
        "AUTOREAP cannot be combined with an exit signal: nobody is notified when the child ends",
    ),
    excludes(
        CloneFlags::NNP,
        CloneFlags::THREAD,
        "NNP cannot be combined with THREAD: use prctl(PR_SET_NO_NEW_PRIVS) in the thread",
    ),
    needs(
        CloneFlags::PIDFD_AUTOKILL,
        CloneFlags::PIDFD,
        "PIDFD_AUTOKILL needs PIDFD: closing that pidfd kills the child",
    ),
    needs(
        CloneFlags::PIDFD_AUTOKILL,
        CloneFlags::AUTOREAP,
        "PIDFD_AUTOKILL needs AUTOREAP: nobody is left to wait for the child",
    ),
    only(
        Syscall::Clone,
        excludes(
            CloneFlags::PIDFD,
            CloneFlags::PARENT_SETTID,
            "PIDFD cannot be combined with PARENT_SETTID in clone(2): both store where parent_tid points",
        ),
    ),
    only(
        Syscall::Clone,
        excludes(
            CloneFlags::PIDFD,
            CloneFlags::DETACHED,
            "PIDFD cannot be combined with DETACHED: the kernel has reserved the pair",
        ),
    ),
    only(
        Syscall::Clone3,
        excludes(CloneFlags::DETACHED, CloneFlags::DETACHED, "clone3(2) does not accept DETACHED"),
    ),
    only(
        Syscall::Clone3,
        excludes(
            CloneFlags::THREAD,
            EXIT_SIGNAL,
            "THREAD cannot be combined with an exit signal: a thread sends no signal when it ends",
        ),
    ),
    only(
        Syscall::Clone3,
        excludes(
            CloneFlags::PARENT,
            EXIT_SIGNAL,
            "PARENT cannot be combined with an exit signal: the child inherits the caller's",
        ),
    ),
];

/// The rules for flags that the kernel allows, but that break a libc that parent and child share.
#[cfg(feature = "std")]
const SHARED_LIBC: &[Conflict] = &[
    excludes(
        CloneFlags::NEWPID,
        CloneFlags::VM,
        "NEWPID cannot be combined with VM: locks know their owner by its tid, and the tids of two \
         pid namespaces collide; use fork, or see Builder::allow_pid_namespace",
    ),
    excludes(
        CloneFlags::NEWTIME,
        CloneFlags::VM,
        "NEWTIME cannot be combined with VM: a child that shares its parent's memory does not enter \
         the new time namespace; use fork",
    ),
];

//! Flags that exclude or need each other: the one table that every tier looks in before a call, since
//! the kernel answers each with the same bare `EINVAL`.
//!
//! Four of the kernel's conflicts depend on the caller and cannot be seen in the flags: `PARENT` in
//! the init of a pid namespace, `THREAD` or `NEWPID` after unshare(2) or setns(2) with a pid
//! namespace, and, before about Linux 6.2, `VM` after the same with a time namespace.

use crate::CloneFlags;
use core::ffi::c_int;
use core::fmt;

/// The system calls that start a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Syscall {
    /// clone(2).
    Clone,
    /// clone3(2), Linux 5.3.
    Clone3,
}

/// Flags that the kernel refuses together, and why.
///
/// ```
/// use clone_trampoline::{Syscall, CloneFlags, Conflict};
///
/// let conflict = Conflict::find(CloneFlags::SIGHAND, libc::SIGCHLD, Syscall::Clone).unwrap();
/// assert_eq!(conflict.to_string(), "SIGHAND needs VM: a handler is an address in the memory");
/// assert!(Conflict::find(CloneFlags::FILES, libc::SIGCHLD, Syscall::Clone).is_none());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// With all of these,
    flags: CloneFlags,
    /// none of these,
    excludes: CloneFlags,
    /// but all of these.
    needs: CloneFlags,
    /// In one call alone.
    only: Option<Syscall>,
    message: &'static str,
}

impl Conflict {
    /// The first conflict among flags that are to be given to `syscall` with an exit signal (0: none).
    ///
    /// For flags that the running kernel knows: it refuses what is found here with `EINVAL`, and
    /// nothing else for its flags alone. clone(2) drops the flags that only clone3(2) can express
    /// without a word; that is not looked for.
    #[must_use]
    pub fn find(flags: CloneFlags, exit_signal: c_int, syscall: Syscall) -> Option<&'static Self> {
        let flags = if exit_signal == 0 { flags } else { flags | EXIT_SIGNAL };
        KERNEL.iter().find(|rule| rule.only.is_none_or(|only| only == syscall) && rule.is_broken_by(flags))
    }

    /// The same for a child that shares memory and uses its parent's libc, where less is right than
    /// the kernel allows.
    #[cfg(feature = "std")]
    pub(crate) fn of_shared_libc(flags: CloneFlags) -> Option<&'static Self> {
        SHARED_LIBC.iter().find(|rule| rule.is_broken_by(flags))
    }

    /// The sentence that names the flags and the reason.
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

/// Stands for an exit signal in the rules below; no flag of the kernel's.
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

/// `copy_process` and `clone3_args_valid` of the kernel's `kernel/fork.c`, `copy_namespaces`.
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
        "NEWUSER cannot be combined with FS: chroot in the namespace would move its parent's root, too",
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
        "AUTOREAP cannot be combined with THREAD: it reaps a process",
    ),
    excludes(
        CloneFlags::AUTOREAP,
        CloneFlags::PARENT,
        "AUTOREAP cannot be combined with PARENT: the child is its grandparent's to reap",
    ),
    excludes(
        CloneFlags::AUTOREAP,
        EXIT_SIGNAL,
        "AUTOREAP cannot be combined with an exit signal: nobody is told of the end",
    ),
    excludes(
        CloneFlags::NNP,
        CloneFlags::THREAD,
        "NNP cannot be combined with THREAD: use prctl(PR_SET_NO_NEW_PRIVS) in the thread",
    ),
    needs(
        CloneFlags::PIDFD_AUTOKILL,
        CloneFlags::PIDFD,
        "PIDFD_AUTOKILL needs PIDFD: it is the end of that pidfd which kills",
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
        excludes(CloneFlags::DETACHED, CloneFlags::DETACHED, "DETACHED is no flag of clone3(2)"),
    ),
    only(
        Syscall::Clone3,
        excludes(
            CloneFlags::THREAD,
            EXIT_SIGNAL,
            "THREAD cannot be combined with an exit signal: the end of a thread is not announced",
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

/// What the kernel allows and a libc whose state is shared does not bear.
#[cfg(feature = "std")]
const SHARED_LIBC: &[Conflict] = &[
    excludes(
        CloneFlags::NEWPID,
        CloneFlags::VM,
        "NEWPID cannot be combined with VM: a lock's owner is known by its tid, and tids of two pid \
         namespaces collide; use fork, or see Builder::allow_pid_namespace",
    ),
    excludes(
        CloneFlags::NEWTIME,
        CloneFlags::VM,
        "NEWTIME cannot be combined with VM: the kernel does not move a child into the new time \
         namespace whose memory is its parent's; use fork",
    ),
];

//! The clone flags that safe code may ask for (S7).

use crate::{CloneFlags, Error, Stage};
use std::ops::{BitOr, BitOrAssign, Sub};

/// A set of [`CloneFlags`] that cannot break what the safe tier promises, whatever the set.
///
/// What is missing is either the crate's own business (`VM`, `VFORK`, `PIDFD`, `CHILD_CLEARTID`,
/// `CHILD_SETTID`, `PARENT_SETTID`, `SETTLS`, `THREAD`, and `INTO_CGROUP`, which
/// [`Builder::cgroup`](crate::Builder::cgroup) sets) or takes the child's end out of its parent's
/// hands (`PARENT`, `AUTOREAP`, `PIDFD_AUTOKILL`, `PTRACE`, `UNTRACED`, `DETACHED`).
///
/// ```
/// use clone_trampoline::{CloneFlags, SafeFlags};
///
/// let flags = SafeFlags::NEWUTS | SafeFlags::NEWNET;
/// assert!(flags.contains(SafeFlags::NEWNET));
/// assert_eq!(CloneFlags::from(flags), CloneFlags::NEWUTS | CloneFlags::NEWNET);
///
/// assert!(SafeFlags::try_from(CloneFlags::NEWNET).is_ok());
/// assert!(SafeFlags::try_from(CloneFlags::NEWNET | CloneFlags::PARENT).is_err());
/// ```
///
/// ```compile_fail
/// // The child would be its grandparent's, who knows nothing of the shared memory.
/// let flags = clone_trampoline::SafeFlags::PARENT;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SafeFlags(CloneFlags);

impl SafeFlags {
    /// The same root, working directory and umask. On by default in `call` and `spawn`.
    pub const FS: Self = Self(CloneFlags::FS);
    /// The same table of file descriptors. Always on in `call` and `spawn`.
    pub const FILES: Self = Self(CloneFlags::FILES);
    /// The same signal handlers. On by default in `call` and `spawn`, impossible in `fork`.
    pub const SIGHAND: Self = Self(CloneFlags::SIGHAND);
    /// The same list of System V semaphore undo operations. On by default in `call` and `spawn`.
    pub const SYSVSEM: Self = Self(CloneFlags::SYSVSEM);
    /// The same I/O context, for the block layer's schedulers.
    pub const IO: Self = Self(CloneFlags::IO);
    /// Handled signals are reset to their default (5.5). Drops `SIGHAND`.
    pub const CLEAR_SIGHAND: Self = Self(CloneFlags::CLEAR_SIGHAND);
    /// Born with no_new_privs (7.1).
    pub const NNP: Self = Self(CloneFlags::NNP);
    /// A new mount namespace. Drops `FS`.
    pub const NEWNS: Self = Self(CloneFlags::NEWNS);
    /// A new mount namespace with nothing in it but an empty root (7.1). Drops `FS`.
    pub const EMPTY_MNTNS: Self = Self(CloneFlags::EMPTY_MNTNS);
    /// A new UTS namespace: host and domain name.
    pub const NEWUTS: Self = Self(CloneFlags::NEWUTS);
    /// A new IPC namespace. Drops `SYSVSEM`.
    pub const NEWIPC: Self = Self(CloneFlags::NEWIPC);
    /// A new network namespace.
    pub const NEWNET: Self = Self(CloneFlags::NEWNET);
    /// A new user namespace. Drops `FS`.
    pub const NEWUSER: Self = Self(CloneFlags::NEWUSER);
    /// A new cgroup namespace (4.6).
    pub const NEWCGROUP: Self = Self(CloneFlags::NEWCGROUP);
    /// A new pid namespace. For `fork`; `call` and `spawn` refuse it, see
    /// [`Builder::assume_no_threads`](crate::Builder::assume_no_threads).
    pub const NEWPID: Self = Self(CloneFlags::NEWPID);
    /// A new time namespace (5.6). For `fork`; `call` and `spawn` refuse it.
    pub const NEWTIME: Self = Self(CloneFlags::NEWTIME);

    const ALL: CloneFlags = CloneFlags::FS
        .union(CloneFlags::FILES)
        .union(CloneFlags::SIGHAND)
        .union(CloneFlags::SYSVSEM)
        .union(CloneFlags::IO)
        .union(CloneFlags::CLEAR_SIGHAND)
        .union(CloneFlags::NNP)
        .union(CloneFlags::NEWNS)
        .union(CloneFlags::EMPTY_MNTNS)
        .union(CloneFlags::NEWUTS)
        .union(CloneFlags::NEWIPC)
        .union(CloneFlags::NEWNET)
        .union(CloneFlags::NEWUSER)
        .union(CloneFlags::NEWCGROUP)
        .union(CloneFlags::NEWPID)
        .union(CloneFlags::NEWTIME);

    /// No flags.
    #[must_use]
    pub const fn empty() -> Self {
        Self(CloneFlags::empty())
    }

    /// Whether all of `other` are in the set.
    #[must_use]
    pub const fn contains(self, other: Self) -> bool {
        self.0.contains(other.0)
    }
}

impl BitOr for SafeFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl Sub for SafeFlags {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0 - other.0)
    }
}

impl BitOrAssign for SafeFlags {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl From<SafeFlags> for CloneFlags {
    fn from(flags: SafeFlags) -> Self {
        flags.0
    }
}

impl TryFrom<CloneFlags> for SafeFlags {
    type Error = Error;

    /// # Errors
    ///
    /// Stage [`Flags`](Stage::Flags), `EINVAL`: a flag that the safe tier does not take.
    fn try_from(flags: CloneFlags) -> Result<Self, Error> {
        if Self::ALL.contains(flags) {
            Ok(Self(flags))
        } else {
            Err(Error::new(Stage::Flags, libc::EINVAL, "not one of the flags of SafeFlags"))
        }
    }
}

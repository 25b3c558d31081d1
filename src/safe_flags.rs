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

// Not bitflags': a type of its has from_bits_retain, which takes any flag from safe code.
macro_rules! safe {
    ($($(#[$doc:meta])* $flag:ident,)*) => {
        impl SafeFlags {
            $($(#[$doc])* pub const $flag: Self = Self(CloneFlags::$flag);)*

            const ALL: CloneFlags = CloneFlags::empty()$(.union(CloneFlags::$flag))*;
        }
    };
}

safe! {
    /// The same root, working directory and umask. On by default in `call` and `spawn`.
    FS,
    /// The same table of file descriptors. Always on in `call` and `spawn`.
    FILES,
    /// The same signal handlers. On by default in `call` and `spawn`, impossible in `fork`.
    SIGHAND,
    /// The same list of System V semaphore undo operations. On by default in `call` and `spawn`.
    SYSVSEM,
    /// The same I/O context, for the block layer's schedulers.
    IO,
    /// Handled signals are reset to their default (5.5). Drops `SIGHAND`.
    CLEAR_SIGHAND,
    /// Born with no_new_privs (7.1).
    NNP,
    /// A new mount namespace. Drops `FS`.
    NEWNS,
    /// A new mount namespace with nothing in it but an empty root (7.1). Drops `FS`.
    EMPTY_MNTNS,
    /// A new UTS namespace: host and domain name.
    NEWUTS,
    /// A new IPC namespace. Drops `SYSVSEM`.
    NEWIPC,
    /// A new network namespace.
    NEWNET,
    /// A new user namespace. Drops `FS`.
    NEWUSER,
    /// A new cgroup namespace (4.6).
    NEWCGROUP,
    /// A new pid namespace. For `fork`; `call` and `spawn` refuse it, see
    /// [`Builder::allow_pid_namespace`](crate::Builder::allow_pid_namespace).
    NEWPID,
    /// A new time namespace (5.6). For `fork`; `call` and `spawn` refuse it.
    NEWTIME,
}

impl SafeFlags {
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

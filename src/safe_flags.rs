//! The clone flags that safe code may ask for (S7).

use crate::{CloneFlags, Error, Stage};
use std::ops::{BitOr, BitOrAssign, Sub};

/// A set of [`CloneFlags`] for safe code. No such set can break what the safe tier promises.
///
/// Some flags are missing because the crate itself decides about them: `VM`, `VFORK`, `PIDFD`, `CHILD_CLEARTID`,
/// `CHILD_SETTID`, `PARENT_SETTID`, `SETTLS`, `THREAD`, and `INTO_CGROUP`, which
/// [`Builder::cgroup`](crate::Builder::cgroup) sets. Others are missing because the parent would no longer control the
/// child's end: `PARENT`, `AUTOREAP`, `PIDFD_AUTOKILL`, `PTRACE`, `UNTRACED`, `DETACHED`.
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
/// // The grandparent would be the child's parent, and it knows nothing of the shared memory.
/// let flags = clone_trampoline::SafeFlags::PARENT;
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SafeFlags(CloneFlags);

// bitflags is not used here, because its types have from_bits_retain, which takes any flag from safe code.
macro_rules! safe {
    ($($(#[$doc:meta])* $flag:ident,)*) => {
        impl SafeFlags {
            $($(#[$doc])* pub const $flag: Self = Self(CloneFlags::$flag);)*

            const ALL: CloneFlags = CloneFlags::empty()$(.union(CloneFlags::$flag))*;
        }
    };
}

safe! {
    /// The same root, working directory and umask. This is the default in `call` and `spawn`.
    FS,
    /// The same table of file descriptors. This is always so in `call` and `spawn`.
    FILES,
    /// The same signal handlers. This is the default in `call` and `spawn`, and impossible in `fork`.
    SIGHAND,
    /// The same list of System V semaphore undo operations. This is the default in `call` and `spawn`.
    SYSVSEM,
    /// The same I/O context, for the block layer's schedulers.
    IO,
    /// Handled signals are reset to their default, and ignored ones stay ignored (5.5). Drops `SIGHAND`.
    CLEAR_SIGHAND,
    /// The child is born with no_new_privs (7.1).
    NNP,
    /// A new mount namespace. Drops `FS`.
    NEWNS,
    /// A new mount namespace that has nothing but an empty root (7.1). Drops `FS`.
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
    /// A new pid namespace, for `fork`. `call` and `spawn` refuse it: see
    /// [`Builder::allow_pid_namespace`](crate::Builder::allow_pid_namespace).
    NEWPID,
    /// A new time namespace (5.6), for `fork`. `call` and `spawn` refuse it.
    NEWTIME,
}

impl SafeFlags {
    /// Returns the set without flags.
    #[must_use]
    pub const fn empty() -> Self {
        Self(CloneFlags::empty())
    }

    /// Returns whether there are no flags in the set.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// Returns the flags of both sets. `|` does the same, but not in a constant.
    ///
    /// ```
    /// use clone_trampoline::SafeFlags;
    ///
    /// const APART: SafeFlags = SafeFlags::NEWUSER.union(SafeFlags::NEWNET);
    /// assert!(APART.contains(SafeFlags::NEWNET));
    /// assert!((APART - APART).is_empty());
    /// ```
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0.union(other.0))
    }

    /// Returns whether all flags of `other` are in the set.
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
    /// Stage [`Flags`](Stage::Flags), `EINVAL`: the safe tier does not take one of the flags.
    fn try_from(flags: CloneFlags) -> Result<Self, Error> {
        if Self::ALL.contains(flags) {
            Ok(Self(flags))
        } else {
            Err(Error::new(Stage::Flags, libc::EINVAL, "SafeFlags does not have one of these flags"))
        }
    }
}

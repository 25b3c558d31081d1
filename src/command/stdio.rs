//! What a program gets as its stdin, stdout and stderr.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// As [`std::process::Stdio`]: what a program gets as its stdin, stdout or stderr.
///
/// Files, sockets, the ends of pipes and everything else that owns a descriptor can be given as it is.
///
/// ```
/// use clone_trampoline::{Command, Stdio};
/// use std::fs::File;
///
/// let status = Command::new("cat").stdin(File::open("/dev/null")?).stdout(Stdio::null()).status()?;
/// assert!(status.success());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Stdio(pub(super) Kind);

#[derive(Debug)]
pub(super) enum Kind {
    Inherit,
    Null,
    Piped,
    Fd(OwnedFd),
}

impl Stdio {
    /// The caller's own.
    #[must_use]
    pub const fn inherit() -> Self {
        Self(Kind::Inherit)
    }

    /// `/dev/null`.
    #[must_use]
    pub const fn null() -> Self {
        Self(Kind::Null)
    }

    /// A new pipe, whose other end is in the [`Child`](crate::Child).
    #[must_use]
    pub const fn piped() -> Self {
        Self(Kind::Piped)
    }

    /// A duplicate of a descriptor that stays the caller's.
    ///
    /// # Errors
    ///
    /// Those of fcntl(2) with `F_DUPFD_CLOEXEC`.
    ///
    /// ```
    /// use clone_trampoline::{Command, Stdio};
    /// use std::os::fd::AsFd;
    ///
    /// // stderr goes where stdout goes
    /// let stderr = Stdio::from_fd(std::io::stdout().as_fd())?;
    /// assert!(Command::new("true").stderr(stderr).status()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_fd(fd: BorrowedFd<'_>) -> io::Result<Self> {
        fd.try_clone_to_owned().map(Self::from)
    }
}

impl<T: Into<OwnedFd>> From<T> for Stdio {
    fn from(fd: T) -> Self {
        Self(Kind::Fd(fd.into()))
    }
}

impl FromRawFd for Stdio {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller's promise.
        Self(Kind::Fd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }
}

//! The stdin, stdout and stderr of a program.

#![allow(unsafe_code)]

use std::fs::File;
use std::io;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::{UnixDatagram, UnixListener, UnixStream};
use std::process::{ChildStderr, ChildStdin, ChildStdout};

/// A stdin, stdout or stderr for a program, like [`std::process::Stdio`].
///
/// Files, sockets and the ends of pipes can be given directly. Any other owner of a descriptor has to be converted to
/// an [`OwnedFd`] first.
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
    /// One of the caller's descriptors 0 to 2, which the caller keeps.
    Standard(RawFd),
}

impl Stdio {
    /// Uses the caller's own descriptor.
    #[must_use]
    pub const fn inherit() -> Self {
        Self(Kind::Inherit)
    }

    /// Uses `/dev/null`.
    #[must_use]
    pub const fn null() -> Self {
        Self(Kind::Null)
    }

    /// Makes a new pipe. The [`Child`](crate::Child) has its other end.
    #[must_use]
    pub const fn piped() -> Self {
        Self(Kind::Piped)
    }

    /// Returns whether this is [`piped`](Self::piped).
    #[must_use]
    pub const fn makes_pipe(&self) -> bool {
        matches!(self.0, Kind::Piped)
    }

    /// Uses a duplicate of a descriptor. The caller keeps the descriptor itself.
    ///
    /// # Errors
    ///
    /// The errors of fcntl(2) with `F_DUPFD_CLOEXEC`.
    ///
    /// ```
    /// use clone_trampoline::{Command, Stdio};
    /// use std::os::fd::AsFd;
    ///
    /// let log = std::fs::File::open("/dev/null")?;
    /// let mut command = Command::new("true");
    /// command.stdout(Stdio::from_fd(log.as_fd())?).stderr(Stdio::from_fd(log.as_fd())?);
    /// assert!(command.status()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_fd(fd: BorrowedFd<'_>) -> io::Result<Self> {
        fd.try_clone_to_owned().map(Self::from)
    }
}

/// A single impl for all types that are `Into<OwnedFd>` would exclude the impls for std's stdout and stderr below.
macro_rules! owners {
    ($($owner:ty),*) => {$(
        impl From<$owner> for Stdio {
            fn from(owner: $owner) -> Self {
                Self(Kind::Fd(owner.into()))
            }
        }
    )*};
}

owners!(OwnedFd, File, ChildStdin, ChildStdout, ChildStderr);
owners!(TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream);
#[cfg(std_has_pipes)]
#[allow(clippy::incompatible_msrv, reason = "the build script has looked")]
mod pipes {
    use super::*;
    owners!(io::PipeReader, io::PipeWriter);
}

/// The program gets the caller's own stdout, descriptor 1.
impl From<io::Stdout> for Stdio {
    fn from(_: io::Stdout) -> Self {
        Self(Kind::Standard(libc::STDOUT_FILENO))
    }
}

/// The program gets the caller's own stderr, descriptor 2.
impl From<io::Stderr> for Stdio {
    fn from(_: io::Stderr) -> Self {
        Self(Kind::Standard(libc::STDERR_FILENO))
    }
}

impl FromRawFd for Stdio {
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller promises to own the descriptor.
        Self(Kind::Fd(unsafe { OwnedFd::from_raw_fd(fd) }))
    }
}

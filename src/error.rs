//! Why a task could not be started.

use std::fmt;
use std::io;

/// What was being done when it failed.
///
/// ```
/// use clone_trampoline::{Builder, SafeFlags, Stage};
///
/// let error = Builder::new().flags(SafeFlags::NEWNS | SafeFlags::FS).call(|| ()).unwrap_err();
/// assert_eq!(error.stage(), Stage::Flags);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stage {
    /// Looking whether the kernel can do what is asked, before any call.
    Flags,
    /// Looking, once in a process, whether a child can share its memory: an emulator may make a copy
    /// of it instead.
    SharedMemory,
    /// Starting the thread that waits for a spawned task.
    Thread,
    /// Blocking the signals of the thread that waits, and taking its alternate signal stack.
    Signals,
    /// Handing over the thread's area of restartable sequences, rseq(2).
    Rseq,
    /// clone(2).
    Clone,
    /// clone3(2).
    Clone3,
    /// fork(3).
    Fork,
    /// prctl(2) `PR_SET_PDEATHSIG`, in the child.
    ParentDeath,
    /// Looking, in the child, whether it is in its parent's pid namespace.
    PidNamespace,
    /// The child's pidfd.
    Pidfd,
    /// Writing `/proc/PID/setgroups`.
    Setgroups,
    /// Writing `/proc/PID/uid_map`.
    UidMap,
    /// Writing `/proc/PID/gid_map`.
    GidMap,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Stage::Flags => "flags",
            Stage::SharedMemory => "shared memory",
            Stage::Thread => "thread",
            Stage::Signals => "signals",
            Stage::Rseq => "rseq",
            Stage::Clone => "clone",
            Stage::Clone3 => "clone3",
            Stage::Fork => "fork",
            Stage::ParentDeath => "PR_SET_PDEATHSIG",
            Stage::PidNamespace => "pid namespace",
            Stage::Pidfd => "pidfd",
            Stage::Setgroups => "setgroups",
            Stage::UidMap => "uid_map",
            Stage::GidMap => "gid_map",
        })
    }
}

/// A task could not be started: where it failed, the errno, and, where the errno hides it, why.
///
/// The closure has not run. An [`io::Error`] made of it keeps the errno and loses the rest.
///
/// ```
/// use clone_trampoline::{Builder, SafeFlags};
///
/// let error = Builder::new().flags(SafeFlags::NEWNS | SafeFlags::FS).call(|| ()).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "flags: Invalid argument (os error 22): NEWNS cannot be combined with FS: \
///      a root directory cannot be shared between two mount namespaces"
/// );
/// assert_eq!(std::io::Error::from(error).raw_os_error(), Some(libc::EINVAL));
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error {
    stage: Stage,
    errno: i32,
    hint: Option<&'static str>,
}

impl Error {
    pub(crate) const fn new(stage: Stage, errno: i32, hint: &'static str) -> Self {
        Self { stage, errno, hint: Some(hint) }
    }

    pub(crate) fn from_io(stage: Stage, error: &io::Error) -> Self {
        Self { stage, errno: error.raw_os_error().unwrap_or(libc::EIO), hint: None }
    }

    pub(crate) fn with_hint(self, hint: Option<&'static str>) -> Self {
        Self { hint, ..self }
    }

    /// What was being done.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// The errno, positive. What this crate refuses itself has the one that the kernel would give.
    #[must_use]
    pub const fn raw_os_error(&self) -> i32 {
        self.errno
    }

    /// What is probably wrong, where the errno does not say.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        self.hint
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.stage, io::Error::from_raw_os_error(self.errno))?;
        self.hint.map_or(Ok(()), |hint| write!(f, ": {hint}"))
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::from_raw_os_error(error.errno)
    }
}

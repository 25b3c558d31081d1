//! The error of a task that could not be started.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;

/// The step that has failed.
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
    /// Checking, before any call, whether the kernel can do what is asked.
    Flags,
    /// Checking, once per process, whether a child can share its memory. An emulator may make a copy of the memory
    /// instead.
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
    /// Checking, in the child, whether it is in its parent's pid namespace.
    PidNamespace,
    /// Opening the child's pidfd.
    Pidfd,
    /// Writing `/proc/PID/setgroups`.
    Setgroups,
    /// Writing `/proc/PID/uid_map`.
    UidMap,
    /// Writing `/proc/PID/gid_map`.
    GidMap,
    /// setns(2).
    JoinNamespace,
    /// mount(2) with `MS_PRIVATE`.
    PrivateMounts,
    /// sethostname(2).
    Hostname,
    /// mount(2), mount_setattr(2), or making the directory for them.
    Mount,
    /// pivot_root(2), and the calls that go with it.
    PivotRoot,
    /// Making the pipes of a [`Command`](crate::Command), or opening `/dev/null`.
    Stdio,
    /// Closing the descriptors that the program does not get, by close_range(2).
    CloseFds,
    /// Giving the program a descriptor, by dup3(2) or fcntl(2).
    Fd,
    /// setsid(2).
    Session,
    /// setpgid(2).
    ProcessGroup,
    /// ioctl_tty(2) `TIOCSCTTY`.
    ControllingTerminal,
    /// ioctl_tty(2) `TIOCSPGRP`, as tcsetpgrp(3).
    Foreground,
    /// setrlimit(2).
    Rlimit,
    /// setpriority(2).
    Nice,
    /// sched_setaffinity(2).
    Affinity,
    /// Writing `/proc/self/oom_score_adj`.
    OomScoreAdj,
    /// chroot(2).
    Chroot,
    /// setgroups(2).
    Groups,
    /// setresgid(2).
    Gid,
    /// setresuid(2).
    Uid,
    /// capset(2), and the calls of prctl(2) for the bounding and the ambient set.
    Capabilities,
    /// prctl(2) `PR_SET_NO_NEW_PRIVS`.
    NoNewPrivs,
    /// chdir(2).
    Chdir,
    /// umask(2).
    Umask,
    /// Running a closure of [`Command::pre_exec`](crate::Command::pre_exec).
    PreExec,
    /// Setting the program's signal mask and the signals that it ignores.
    ProgramSignals,
    /// landlock_restrict_self(2).
    Landlock,
    /// seccomp(2).
    Seccomp,
    /// execve(2).
    Exec,
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
            Stage::JoinNamespace => "setns",
            Stage::PrivateMounts => "private_mounts",
            Stage::Hostname => "hostname",
            Stage::Mount => "mount",
            Stage::PivotRoot => "pivot_root",
            Stage::Stdio => "stdio",
            Stage::CloseFds => "close_other_fds",
            Stage::Fd => "fd",
            Stage::Session => "setsid",
            Stage::ProcessGroup => "setpgid",
            Stage::ControllingTerminal => "controlling_terminal",
            Stage::Foreground => "foreground",
            Stage::Rlimit => "setrlimit",
            Stage::Nice => "nice",
            Stage::Affinity => "affinity",
            Stage::OomScoreAdj => "oom_score_adj",
            Stage::Chroot => "chroot",
            Stage::Groups => "groups",
            Stage::Gid => "setresgid",
            Stage::Uid => "setresuid",
            Stage::Capabilities => "capabilities",
            Stage::NoNewPrivs => "no_new_privs",
            Stage::Chdir => "chdir",
            Stage::Umask => "umask",
            Stage::PreExec => "pre_exec",
            Stage::ProgramSignals => "signals of the program",
            Stage::Landlock => "landlock",
            Stage::Seccomp => "seccomp",
            Stage::Exec => "exec",
        })
    }
}

/// The error of a task that could not be started. The closure or program has not run. There is one exception: with
/// stage [`Pidfd`](Stage::Pidfd), a closure of [`fork`](crate::fork) may have begun, and its child has been killed.
///
/// The error says which stage failed, with which argument and which errno. If the errno alone does not say why, there
/// is also a hint. An [`io::Error`] made from this error has the same kind and the same text, and carries it as the
/// payload. So the `io::Error`'s own `raw_os_error` is None.
///
/// ```
/// use clone_trampoline::{Builder, Error, SafeFlags};
///
/// let error = Builder::new().flags(SafeFlags::NEWNS | SafeFlags::FS).call(|| ()).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "flags: Invalid argument (os error 22): NEWNS cannot be combined with FS: \
///      a root directory cannot be shared between two mount namespaces"
/// );
/// let error = std::io::Error::from(error);
/// assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
/// let ours: Error = error.downcast().unwrap();
/// assert_eq!(ours.raw_os_error(), libc::EINVAL);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Error {
    stage: Stage,
    argument: Option<Box<OsStr>>,
    errno: i32,
    hint: Option<Cow<'static, str>>,
}

impl Error {
    pub(crate) const fn new(stage: Stage, errno: i32, hint: &'static str) -> Self {
        Self { stage, argument: None, errno, hint: Some(Cow::Borrowed(hint)) }
    }

    pub(crate) const fn from_errno(stage: Stage, errno: i32) -> Self {
        Self { stage, argument: None, errno, hint: None }
    }

    pub(crate) fn from_io(stage: Stage, error: &io::Error) -> Self {
        Self::from_errno(stage, error.raw_os_error().unwrap_or(libc::EIO))
    }

    pub(crate) fn with_hint(self, hint: Option<impl Into<Cow<'static, str>>>) -> Self {
        Self { hint: hint.map(Into::into), ..self }
    }

    pub(crate) fn at(self, argument: Option<Box<OsStr>>) -> Self {
        Self { argument, ..self }
    }

    /// Returns the error of this crate that an [`io::Error`] was made from, such as that of a
    /// [`Command`](crate::Command).
    ///
    /// ```
    /// use clone_trampoline::{Command, Error, Stage};
    ///
    /// let error = Command::new("/bin/true").current_dir("/nowhere").spawn().unwrap_err();
    /// assert_eq!(Error::of(&error).map(Error::stage), Some(Stage::Chdir));
    /// ```
    #[must_use]
    pub fn of(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Returns whether a file of the child in /proc was refused. The kernel refuses all of them while the memory is not
    /// dumpable.
    pub(crate) fn is_of_a_file_in_proc(&self) -> bool {
        let stage =
            matches!(self.stage, Stage::Setgroups | Stage::UidMap | Stage::GidMap | Stage::OomScoreAdj);
        stage && self.errno == libc::EACCES
    }

    /// Returns the step that has failed.
    #[must_use]
    pub const fn stage(&self) -> Stage {
        self.stage
    }

    /// Returns the argument of that step: the program, the directory, or the number of a descriptor.
    ///
    /// ```
    /// use clone_trampoline::{Command, Error};
    ///
    /// let error = Command::new("/bin/true").current_dir("/nowhere").spawn().unwrap_err();
    /// assert_eq!(Error::of(&error).unwrap().argument(), Some("/nowhere".as_ref()));
    /// assert_eq!(error.to_string(), r#"chdir "/nowhere": No such file or directory (os error 2)"#);
    /// ```
    #[must_use]
    pub fn argument(&self) -> Option<&OsStr> {
        self.argument.as_deref()
    }

    /// Returns the errno as a positive number. If this crate refuses a request itself, it uses the errno that the
    /// kernel would give.
    #[must_use]
    pub const fn raw_os_error(&self) -> i32 {
        self.errno
    }

    /// Returns the errno's kind, as std's errors do.
    ///
    /// ```
    /// let error = clone_trampoline::Builder::new().uid_map(0, 0, 1).call(|| ()).unwrap_err();
    /// assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
    /// ```
    #[must_use]
    pub fn kind(&self) -> io::ErrorKind {
        io::Error::from_raw_os_error(self.errno).kind()
    }

    /// Returns the probable cause, if the errno does not show it.
    #[must_use]
    pub fn hint(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

/// Makes the argument of an error from a number, or from anything else that can be displayed.
pub(crate) fn argument(value: impl ToString) -> Option<Box<OsStr>> {
    Some(OsString::from(value.to_string()).into())
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.stage)?;
        match &self.argument {
            Some(argument)
                if matches!(
                    self.stage,
                    Stage::Exec
                        | Stage::Chdir
                        | Stage::Chroot
                        | Stage::Mount
                        | Stage::PivotRoot
                        | Stage::Hostname
                ) =>
            {
                write!(f, " {argument:?}")?
            }
            Some(argument) => write!(f, " {}", argument.to_string_lossy())?,
            None => {}
        }
        // The error of a closure is already in its hint.
        if self.stage != Stage::PreExec {
            write!(f, ": {}", io::Error::from_raw_os_error(self.errno))?;
        }
        self.hint().map_or(Ok(()), |hint| write!(f, ": {hint}"))
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(error.kind(), error)
    }
}

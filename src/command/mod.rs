//! `Command`: a program in a child of its own, as std's, without a copy of the memory.
//!
//! The child shares the memory until it executes the program, and runs beside the caller, on room of the caller's stack.
//! `plan` makes a list of steps of what was asked for, `child` walks it in the child, and `launch` starts the child and
//! waits until it no longer has the memory.

#![allow(unsafe_code, reason = "a function that is unsafe to call")]

mod child;
mod closures;
mod environment;
mod exec;
mod fds;
mod launch;
mod plan;
mod request;
mod resource;
mod stdio;

pub use environment::CommandEnvs;
pub use resource::Resource;
pub use stdio::Stdio;

use crate::Child;
use request::Request;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::path::Path;
use std::process::{ExitStatus, Output};
use std::slice;

/// Starts programs, as [`std::process::Command`], at the same cost whatever is asked for.
///
/// Names, meanings and defaults are std's, and so is where the program is looked for. What std's does by fork(2), because
/// posix_spawn(3) cannot, is a step of a child that shares the memory here: a gigabyte of it costs nothing. The caller
/// stays awake while the child prepares itself: it handles signals, and it can be stopped.
///
/// An error says what failed with what, and the `Command` can be used again:
///
/// ```
/// use clone_trampoline::Command;
///
/// let error = Command::new("no-such-program").env("PATH", "/bin").spawn().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     r#"exec "no-such-program": No such file or directory (os error 2): not found in PATH=/bin"#
/// );
/// ```
///
/// The parts of a start, in their order, which is that of their errors: descriptors, session or process group, limits, root
/// directory, groups, gid, uid, `no_new_privs`, the signal at the parent's death, working directory, umask, signals.
/// So a relative program, and a relative entry of `PATH`, are looked for in the new working directory.
///
/// ```
/// use clone_trampoline::{Command, Stdio};
///
/// let mut command = Command::new("sh");
/// command.args(["-c", "echo $GREETING; exit 3"]).env("GREETING", "hello").stdout(Stdio::piped());
/// let output = command.spawn()?.wait_with_output()?;
/// assert_eq!((output.status.code(), &*output.stdout), (Some(3), &b"hello\n"[..]));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Command(Request);

impl Command {
    /// A program without arguments, with the caller's environment, working directory and descriptors 0 to 2. A name without
    /// a slash is looked for in the program's own `PATH`.
    pub fn new<S: AsRef<OsStr>>(program: S) -> Self {
        Self(Request::new(program.as_ref()))
    }

    /// Adds an argument.
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Self {
        self.0.arguments.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<I, S>(&mut self, args: I) -> &mut Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.0.arguments.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// The program's first argument, its own name, if that is not to be the program.
    pub fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Self {
        self.0.arguments[0] = arg.as_ref().to_owned();
        self
    }

    /// Sets a variable of the program's environment.
    pub fn env<K: AsRef<OsStr>, V: AsRef<OsStr>>(&mut self, key: K, value: V) -> &mut Self {
        self.0.environment.set(key.as_ref(), value.as_ref());
        self
    }

    /// Sets variables of the program's environment.
    pub fn envs<I, K, V>(&mut self, variables: I) -> &mut Self
    where
        I: IntoIterator<Item = (K, V)>,
        K: AsRef<OsStr>,
        V: AsRef<OsStr>,
    {
        for (key, value) in variables {
            self.0.environment.set(key.as_ref(), value.as_ref());
        }
        self
    }

    /// Removes a variable from the program's environment.
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Self {
        self.0.environment.remove(key.as_ref());
        self
    }

    /// Removes all variables, and all that was asked for before.
    pub fn env_clear(&mut self) -> &mut Self {
        self.0.environment.clear();
        self
    }

    /// The program's working directory.
    pub fn current_dir<P: AsRef<Path>>(&mut self, directory: P) -> &mut Self {
        self.0.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// The program's stdin: the caller's by default, and nothing, by [`output`](Self::output).
    pub fn stdin<T: Into<Stdio>>(&mut self, stdio: T) -> &mut Self {
        self.0.stdio[0] = Some(stdio.into());
        self
    }

    /// The program's stdout: the caller's by default, and a pipe, by [`output`](Self::output).
    pub fn stdout<T: Into<Stdio>>(&mut self, stdio: T) -> &mut Self {
        self.0.stdio[1] = Some(stdio.into());
        self
    }

    /// The program's stderr: the caller's by default, and a pipe, by [`output`](Self::output).
    pub fn stderr<T: Into<Stdio>>(&mut self, stdio: T) -> &mut Self {
        self.0.stdio[2] = Some(stdio.into());
        self
    }

    /// Gives the program a descriptor, by this number. The `Command` has its own until it is dropped: the end of a pipe that
    /// was given stays open as long.
    ///
    /// ```
    /// use clone_trampoline::{Command, Stdio};
    /// use std::fs::File;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "readlink /proc/self/fd/7"]).fd(7, File::open("/dev/zero")?);
    /// let output = command.stdout(Stdio::piped()).output()?;
    /// assert_eq!(output.stdout, b"/dev/zero\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn fd<F: Into<OwnedFd>>(&mut self, number: RawFd, fd: F) -> &mut Self {
        self.0.fds.retain(|(other, _)| *other != number);
        self.0.fds.push((number, fd.into()));
        self
    }

    /// Whether the program gets no descriptors but 0, 1, 2 and those of [`fd`](Self::fd). By default it gets all that are not
    /// close-on-exec, as std's. Takes close_range(2), Linux 5.9, and no time for each open descriptor.
    pub fn close_other_fds(&mut self, close: bool) -> &mut Self {
        self.0.close_other_fds = close;
        self
    }

    /// Whether the program is the first of a new session.
    pub fn setsid(&mut self, setsid: bool) -> &mut Self {
        self.0.setsid = setsid;
        self
    }

    /// The program's process group; 0: a new one, with the program's pid.
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.0.process_group = Some(group);
        self
    }

    /// A limit of setrlimit(2).
    ///
    /// ```
    /// use clone_trampoline::{Command, Resource};
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "ulimit -n"]).rlimit(Resource::Files, 17, 17);
    /// assert_eq!(command.output()?.stdout, b"17\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn rlimit(&mut self, resource: Resource, soft: u64, hard: u64) -> &mut Self {
        self.0.limits.push((resource, soft, hard));
        self
    }

    /// The program's nice value, -20 to 19.
    pub fn nice(&mut self, nice: i32) -> &mut Self {
        self.0.nice = Some(nice);
        self
    }

    /// The CPUs that the program may run on.
    pub fn affinity<I: IntoIterator<Item = usize>>(&mut self, cpus: I) -> &mut Self {
        self.0.cpus = Some(cpus.into_iter().collect());
        self
    }

    /// The program's root directory. Its working directory is that, unless another one was asked for.
    pub fn chroot<P: AsRef<Path>>(&mut self, directory: P) -> &mut Self {
        self.0.root = Some(directory.as_ref().to_owned());
        self.0.directory.get_or_insert_with(|| "/".into());
        self
    }

    /// The program's supplementary groups.
    pub fn groups(&mut self, groups: &[u32]) -> &mut Self {
        self.0.groups = Some(groups.to_owned());
        self
    }

    /// The program's gid: real, effective and saved.
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.0.gid = Some(id);
        self
    }

    /// The program's uid: real, effective and saved. Without [`groups`](Self::groups) the supplementary groups are dropped, if
    /// the caller may do so, as std does.
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.0.uid = Some(id);
        self
    }

    /// Whether the program can no longer gain privileges by execve(2): prctl(2) `PR_SET_NO_NEW_PRIVS`.
    pub fn no_new_privs(&mut self, set: bool) -> &mut Self {
        self.0.no_new_privs = set;
        self
    }

    /// The signal that the program gets when the *thread* that has started it ends: prctl(2) `PR_SET_PDEATHSIG`.
    pub fn parent_death_signal(&mut self, signal: i32) -> &mut Self {
        self.0.parent_death_signal = Some(signal);
        self
    }

    /// The program's umask.
    pub fn umask(&mut self, mask: u32) -> &mut Self {
        self.0.umask = Some(mask);
        self
    }

    /// The signals that the program has blocked, and no others. By default those that the caller has.
    pub fn block_signals(&mut self, signals: &[i32]) -> &mut Self {
        self.0.blocked = Some(signals.to_owned());
        self
    }

    /// Signals that the program does not ignore, though the caller does. `SIGPIPE` is always one of them, as with std's.
    pub fn default_signals(&mut self, signals: &[i32]) -> &mut Self {
        self.0.defaults.extend(signals);
        self
    }

    /// Signals that the program ignores.
    pub fn ignore_signals(&mut self, signals: &[i32]) -> &mut Self {
        self.0.ignored.extend(signals);
        self
    }

    /// Runs a closure in the child, as the last thing before the program. Closures run in the order in which they were given,
    /// at each start.
    ///
    /// The child shares the memory then, has the caller's thread-local storage, and has none of the caller's signal
    /// handlers. The caller sleeps until the program is executed: it handles no signals, Ctrl-Z may not be reported to the
    /// shell, and set*id of another thread waits. What the closure does to the memory stays. Its error is the start's, with
    /// all of its words. If it panics, the child ends by `SIGABRT`.
    ///
    /// On musl `raise`, `abort` and `gettid` of libc name the caller's thread, not the child.
    ///
    /// # Safety
    ///
    /// As for [`CommandExt::pre_exec`](std::os::unix::process::CommandExt::pre_exec): what another thread may have locked
    /// when the child was made stays locked until the closure has returned. A closure that waits for that waits for ever.
    /// Above that it must not return or keep, in the memory, anything of which the child has a copy that ends with it: file
    /// descriptors that it opens are the child's.
    ///
    /// ```
    /// use clone_trampoline::Command;
    /// use std::io;
    ///
    /// let mut command = Command::new("true");
    /// // SAFETY: it takes no lock.
    /// unsafe { command.pre_exec(|| Err(io::Error::other("my own reason"))) };
    /// assert_eq!(command.spawn().unwrap_err().to_string(), "pre_exec: my own reason");
    /// ```
    pub unsafe fn pre_exec<F>(&mut self, f: F) -> &mut Self
    where
        F: FnMut() -> io::Result<()> + Send + Sync + 'static,
    {
        self.0.closures.push(Box::new(f));
        self
    }

    /// No pidfd for the [`Child`]. It needs Linux 5.2, and one file descriptor.
    pub fn without_pidfd(&mut self) -> &mut Self {
        self.0.pidfd = false;
        self
    }

    /// Starts the program.
    ///
    /// # Errors
    ///
    /// The first part of the start that failed. Nothing is left of it, and no `SIGCHLD` comes.
    pub fn spawn(&mut self) -> io::Result<Child> {
        self.0.start([const { Stdio::inherit() }; 3].each_ref()).map_err(io::Error::from)
    }

    /// Starts the program, and waits for its end.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn) and [`Child::wait`].
    ///
    /// ```
    /// assert!(clone_trampoline::Command::new("true").status()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Starts the program, reads its stdout and stderr, and waits for its end. By default these two are pipes, and stdin is
    /// nothing.
    ///
    /// # Errors
    ///
    /// Those of [`spawn`](Self::spawn) and [`Child::wait_with_output`].
    ///
    /// ```
    /// let output = clone_trampoline::Command::new("echo").arg("said").output()?;
    /// assert_eq!(output.stdout, b"said\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn output(&mut self) -> io::Result<Output> {
        self.0.start([&Stdio::null(), &Stdio::piped(), &Stdio::piped()])?.wait_with_output()
    }

    /// Executes the program in place of this one, after the same steps. Returns only if one of them fails.
    ///
    /// Descriptors and blocked signals are as before then, but those that the program was not to have are close-on-exec. What
    /// other steps have done stays, as with std's: ids of the calling thread, root, directory, umask, limits, session,
    /// ignored signals. A descriptor's number above 2 has to be free in a program of several threads, because another one
    /// may use what is open there: `EBUSY`.
    ///
    /// ```no_run
    /// let error = clone_trampoline::Command::new("sh").exec();
    /// eprintln!("{error}");
    /// ```
    pub fn exec(&mut self) -> io::Error {
        self.0.execute_here().into()
    }

    /// The program.
    #[must_use]
    pub fn get_program(&self) -> &OsStr {
        &self.0.program
    }

    /// The arguments, without the first one.
    pub fn get_args(&self) -> CommandArgs<'_> {
        CommandArgs(self.0.arguments[1..].iter())
    }

    /// The changes of the environment.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.0.environment.changes()
    }

    /// Whether the program gets nothing of the caller's environment.
    #[must_use]
    pub fn get_env_clear(&self) -> bool {
        self.0.environment.is_cleared()
    }

    /// The working directory, if it is not the caller's.
    #[must_use]
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.0.directory.as_deref()
    }
}

/// As std's: what a shell would take, and, by `{:#?}`, all that was asked for.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The arguments of a [`Command`], by [`get_args`](Command::get_args).
#[derive(Clone, Debug)]
pub struct CommandArgs<'a>(slice::Iter<'a, OsString>);

impl<'a> Iterator for CommandArgs<'a> {
    type Item = &'a OsStr;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(OsString::as_os_str)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.0.size_hint()
    }
}

impl ExactSizeIterator for CommandArgs<'_> {}

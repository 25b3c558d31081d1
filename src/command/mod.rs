//! `Command` starts a program in a child process, like std's `Command`, but without a copy of the memory.
//!
//! The child shares the caller's memory until it executes the program. It runs beside the caller, on a part of the
//! caller's stack. `plan` turns the request into a list of steps, `child` performs them in the child, and `launch`
//! starts the child and waits until it no longer has the memory.

#![allow(unsafe_code, reason = "a function that is unsafe to call")]

mod beyond_std;
mod birth;
mod capabilities;
mod child;
mod closures;
mod confine;
mod environment;
mod exec;
mod fds;
mod hidden;
mod launch;
mod limits;
mod mounts;
mod namespaces;
mod plan;
mod program;
mod request;
mod session;
mod signals;
mod stdio;
mod traced;

pub use capabilities::Capability;
pub use environment::CommandEnvs;
pub use limits::Resource;
pub use mounts::Mount;
pub use stdio::Stdio;

use crate::Child;
use request::Request;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Output};
use std::slice;

/// Starts programs like [`std::process::Command`]. A start costs the same however much memory the caller has.
///
/// Names, meanings and defaults are those of std, and programs are looked up in the same places. For some requests std
/// has to call fork(2), which copies the page tables. Here the child itself performs every request while it shares the
/// memory, so even a gigabyte of memory costs nothing. The caller stays awake meanwhile: it can handle signals, and it
/// can be stopped. It sleeps only with [`pre_exec`](Self::pre_exec), [`cgroup`](Self::cgroup) or
/// [`oom_score_adj`](Self::oom_score_adj), or if it is traced.
///
/// An error names the step that failed and its argument. The `Command` can be used again afterwards:
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
/// A start has these parts, in this order: what the kernel does at birth (flags, cgroup, pid), `oom_score_adj`, maps of
/// ids, namespaces to join, host name, mounts, session, process group, terminal, descriptors, limits, root directory,
/// bounding set, groups, gid, uid, capabilities, `no_new_privs`, the signal at the parent's death, working directory,
/// umask, signals, closures, landlock, filters, the program. The first part that fails gives the error. Because the
/// working directory is changed before the program is looked up, a relative program and a relative entry of `PATH` are
/// looked up in the new directory.
///
/// A start uses 16 KiB of the calling thread's stack. A signal handler of the caller must not leave a start by
/// longjmp(3). If the handler calls fork(2), it must not return in the copy of the process. The child keeps the ids
/// that the caller had at the beginning, even if another thread changes them during the start. Before Linux 5.16, a
/// child that dumps core before it executes its program also ends the caller.
///
/// If the calling program is traced, by a debugger or strace(1), the calling thread sleeps during each start, as it
/// does with closures, and the tracer sees a vfork(2). valgrind ends a program that starts another one in this way.
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
    /// Creates a `Command` for a program, without arguments and with the caller's environment, working directory and
    /// descriptors 0 to 2.
    ///
    /// A name without a slash is looked up in the `PATH` that the program will get, or in `/bin:/usr/bin` if it gets
    /// none.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let command = Command::new("ls");
    /// assert_eq!(command.get_program(), "ls");
    /// ```
    pub fn new<S: AsRef<OsStr>>(program: S) -> Self {
        Self(Request::new(program.as_ref()))
    }

    /// Adds an argument.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// assert_eq!(Command::new("echo").arg("a b").output()?.stdout, b"a b\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn arg<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Self {
        self.0.arguments.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// assert_eq!(Command::new("echo").args(["a", "b"]).output()?.stdout, b"a b\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn args<I, S>(&mut self, args: I) -> &mut Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.0.arguments.extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets `argv[0]`, the name that the program sees as its own. By default it is the program as given to
    /// [`new`](Self::new).
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let output = Command::new("/bin/sh").arg0("another").args(["-c", "echo $0"]).output()?;
    /// assert_eq!(output.stdout, b"another\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn arg0<S: AsRef<OsStr>>(&mut self, arg: S) -> &mut Self {
        self.0.arguments[0] = arg.as_ref().to_owned();
        self
    }

    /// Sets a variable of the program's environment.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let mut command = Command::new("sh");
    /// let output = command.args(["-c", "echo $LANG"]).env("LANG", "C").output()?;
    /// assert_eq!(output.stdout, b"C\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn env<K: AsRef<OsStr>, V: AsRef<OsStr>>(&mut self, key: K, value: V) -> &mut Self {
        self.0.environment.set(key.as_ref(), value.as_ref());
        self
    }

    /// Sets variables of the program's environment.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let mut command = Command::new("sh");
    /// let output = command.args(["-c", "echo $A$B"]).envs([("A", "1"), ("B", "2")]).output()?;
    /// assert_eq!(output.stdout, b"12\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
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
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let mut command = Command::new("sh");
    /// let output = command.args(["-c", "echo ${HOME-none}"]).env_remove("HOME").output()?;
    /// assert_eq!(output.stdout, b"none\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn env_remove<K: AsRef<OsStr>>(&mut self, key: K) -> &mut Self {
        self.0.environment.remove(key.as_ref());
        self
    }

    /// Removes all variables from the program's environment, also those that [`env`](Self::env) has set before.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let output = Command::new("/usr/bin/env").env_clear().env("A", "1").output()?;
    /// assert_eq!(output.stdout, b"A=1\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn env_clear(&mut self) -> &mut Self {
        self.0.environment.clear();
        self
    }

    /// Sets the program's working directory, chdir(2).
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// assert_eq!(Command::new("pwd").current_dir("/").output()?.stdout, b"/\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn current_dir<P: AsRef<Path>>(&mut self, directory: P) -> &mut Self {
        self.0.directory = Some(directory.as_ref().to_owned());
        self
    }

    /// Sets the program's stdin. By default it is the caller's. With [`output`](Self::output) the default is
    /// `/dev/null`.
    ///
    /// ```
    /// use clone_trampoline::{Command, Stdio};
    /// use std::fs::File;
    ///
    /// let output = Command::new("cat").stdin(File::open("/proc/sys/kernel/ostype")?).output()?;
    /// assert_eq!(output.stdout, b"Linux\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stdin<T: Into<Stdio>>(&mut self, stdio: T) -> &mut Self {
        self.0.stdio[0] = Some(stdio.into());
        self
    }

    /// Sets the program's stdout. By default it is the caller's. With [`output`](Self::output) the default is a pipe.
    ///
    /// ```
    /// use clone_trampoline::{Command, Stdio};
    ///
    /// let status = Command::new("echo").arg("nobody reads this").stdout(Stdio::null()).status()?;
    /// assert!(status.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stdout<T: Into<Stdio>>(&mut self, stdio: T) -> &mut Self {
        self.0.stdio[1] = Some(stdio.into());
        self
    }

    /// Sets the program's stderr. By default it is the caller's. With [`output`](Self::output) the default is a pipe.
    ///
    /// ```
    /// use clone_trampoline::{Command, Stdio};
    ///
    /// let mut command = Command::new("sh");
    /// let child = command.args(["-c", "echo said >&2"]).stderr(Stdio::piped()).spawn()?;
    /// assert_eq!(child.wait_with_output()?.stderr, b"said\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn stderr<T: Into<Stdio>>(&mut self, stdio: T) -> &mut Self {
        self.0.stdio[2] = Some(stdio.into());
        self
    }

    /// Sets whether the program leads a new session, setsid(2).
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let mut command = Command::new("sh");
    /// let script = "read pid comm state parent group session rest </proc/$$/stat; test $session = $$";
    /// assert!(command.args(["-c", script]).setsid(true).status()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn setsid(&mut self, setsid: bool) -> &mut Self {
        self.0.setsid = setsid;
        self
    }

    /// Sets the program's process group, setpgid(2). 0 makes a new group, with the program's pid as its number.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let mut command = Command::new("sh");
    /// let script = "read pid comm state parent group rest </proc/$$/stat; test $group = $$";
    /// assert!(command.args(["-c", script]).process_group(0).status()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn process_group(&mut self, group: i32) -> &mut Self {
        self.0.process_group = Some(group);
        self
    }

    /// Sets the program's root directory, chroot(2). This needs `CAP_SYS_CHROOT`. The working directory becomes `/` in
    /// that root, unless [`current_dir`](Self::current_dir) sets another one.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let mut command = Command::new("/bin/pwd");
    /// match command.chroot("/").output() {
    ///     Ok(output) => assert_eq!(output.stdout, b"/\n"),
    ///     Err(error) => println!("{error}"), // without privileges `chroot "/": Operation not permitted`
    /// }
    /// ```
    pub fn chroot<P: AsRef<Path>>(&mut self, directory: P) -> &mut Self {
        self.0.root = Some(directory.as_ref().to_owned());
        self.0.directory.get_or_insert_with(|| "/".into());
        self
    }

    /// Sets the program's supplementary groups, setgroups(2). This needs `CAP_SETGID`.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// match Command::new("id").arg("-G").groups(&[7]).gid(6).output() {
    ///     Ok(output) => assert_eq!(output.stdout, b"6 7\n"),
    ///     Err(error) => println!("{error}"), // without privileges `groups [7]: Operation not permitted`
    /// }
    /// ```
    pub fn groups(&mut self, groups: &[u32]) -> &mut Self {
        self.0.groups = Some(groups.to_owned());
        self
    }

    /// Sets the program's real, effective and saved gid, setresgid(2). A gid that the caller does not have needs
    /// `CAP_SETGID`. `u32::MAX` is an error, because it is not a valid id.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// match Command::new("id").arg("-g").gid(6).output() {
    ///     Ok(output) => assert_eq!(output.stdout, b"6\n"),
    ///     Err(error) => println!("{error}"), // without privileges `setresgid 6: Operation not permitted`
    /// }
    /// ```
    pub fn gid(&mut self, id: u32) -> &mut Self {
        self.0.gid = Some(id);
        self
    }

    /// Sets the program's real, effective and saved uid, setresuid(2). A uid that the caller does not have needs
    /// `CAP_SETUID`. `u32::MAX` is an error, because it is not a valid id.
    ///
    /// Without [`groups`](Self::groups), the supplementary groups are dropped. As in std, they stay if the caller may
    /// not drop them.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// match Command::new("id").groups(&[]).gid(65534).uid(65534).output() {
    ///     Ok(output) => assert!(output.stdout.starts_with(b"uid=65534")),
    ///     Err(error) => println!("{error}"), // without privileges `groups []: Operation not permitted ...`
    /// }
    /// ```
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.0.uid = Some(id);
        self
    }

    /// Adds a closure that runs in the child, before landlock, filters and the program. Each start runs all closures,
    /// in the order in which they were added.
    ///
    /// The closure runs in the caller's memory and with the caller's thread-local storage, so everything that it writes
    /// there stays. The calling thread sleeps until the program is executed. Meanwhile it handles no signals, a shell
    /// may not notice Ctrl-Z, and set*id in another thread waits. If the closure returns an error, the start fails, and
    /// its error contains the whole text of that error. If the closure panics, the child ends by `SIGABRT`. If the
    /// program is built with `panic = "abort"`, the caller's thread then counts as panicking for ever.
    ///
    /// The program's environment is made before the closure runs. So a variable that the closure sets is set in the
    /// caller and not for the program.
    ///
    /// On musl, libc's `raise`, `abort` and `gettid` use the tid of the caller's thread instead of the child's.
    ///
    /// # Safety
    ///
    /// The conditions of [`CommandExt::pre_exec`](std::os::unix::process::CommandExt::pre_exec) apply, and four more:
    ///
    /// - Other threads run at the same time, in the same memory.
    /// - If another thread may call set*id or setgroups of libc, the closure must not call them, because both would
    ///   wait for ever. Use [`uid`](Self::uid), [`gid`](Self::gid) and [`groups`](Self::groups), or the system call
    ///   itself.
    /// - A signal can end the child at any point of the closure. A lock that the closure holds then stays locked, and
    ///   data that it is changing stay half changed.
    /// - Nothing that the closure leaves in memory may own a thing that only the child has, such as a descriptor that
    ///   the closure has opened.
    ///
    /// ```
    /// use clone_trampoline::Command;
    /// use std::io;
    ///
    /// let mut command = Command::new("true");
    /// // SAFETY: the closure takes no lock.
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

    /// Starts the program.
    ///
    /// # Errors
    ///
    /// The error of the first part of the start that failed. The child is gone by then, and the caller gets no
    /// `SIGCHLD`.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let mut child = Command::new("sleep").arg("0.01").spawn()?;
    /// println!("{} runs", child.id());
    /// assert!(child.wait()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn spawn(&mut self) -> io::Result<Child> {
        self.0.start([const { Stdio::inherit() }; 3].each_ref()).map_err(io::Error::from)
    }

    /// Starts the program and waits for its end.
    ///
    /// # Errors
    ///
    /// The errors of [`spawn`](Self::spawn) and [`Child::wait`].
    ///
    /// ```
    /// assert!(clone_trampoline::Command::new("true").status()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn status(&mut self) -> io::Result<ExitStatus> {
        self.spawn()?.wait()
    }

    /// Starts the program, reads its stdout and stderr, and waits for its end. By default stdout and stderr are pipes,
    /// and stdin is `/dev/null`.
    ///
    /// # Errors
    ///
    /// The errors of [`spawn`](Self::spawn) and [`Child::wait_with_output`].
    ///
    /// ```
    /// let output = clone_trampoline::Command::new("echo").arg("said").output()?;
    /// assert_eq!(output.stdout, b"said\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn output(&mut self) -> io::Result<Output> {
        self.0.start([&Stdio::null(), &Stdio::piped(), &Stdio::piped()])?.wait_with_output()
    }

    /// Executes the program in place of this one, execve(2), after the same steps as [`spawn`](Self::spawn). Returns
    /// only if a step fails.
    ///
    /// After a failure, descriptors and blocked signals are as before, with one exception: after `close_other_fds` the
    /// other descriptors are close-on-exec. The effects of other steps stay, as in std. For the calling thread these
    /// are its ids, capabilities, namespaces, filters, `no_new_privs` and the signal at its parent's death. For the
    /// whole calling process they are its root, working directory, umask, limits, session and actions of signals, so
    /// `SIGPIPE` is no longer ignored.
    ///
    /// Requests that need a child are errors: flags, maps of ids, a cgroup, a pid, a pid namespace to join, `autoreap`
    /// and `kill_on_close`. In a program of several threads, a descriptor's number above 2 must be free or belong to
    /// this `Command`. Otherwise the error is `EBUSY`, because another thread may use the descriptor that is open
    /// there.
    ///
    /// ```no_run
    /// let error = clone_trampoline::Command::new("sh").exec();
    /// eprintln!("{error}");
    /// ```
    pub fn exec(&mut self) -> io::Error {
        self.0.execute_here().into()
    }

    /// Returns the program.
    #[must_use]
    pub fn get_program(&self) -> &OsStr {
        &self.0.program
    }

    /// Returns the arguments, without `argv[0]`.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let mut command = Command::new("ls");
    /// command.args(["-l", "/"]).env("LANG", "C").env_remove("LS_COLORS");
    /// assert!(command.get_args().eq(["-l", "/"]));
    /// let changes: Vec<_> = command.get_envs().collect();
    /// assert_eq!(changes, [("LANG".as_ref(), Some("C".as_ref())), ("LS_COLORS".as_ref(), None)]);
    /// ```
    pub fn get_args(&self) -> CommandArgs<'_> {
        CommandArgs(self.0.arguments[1..].iter())
    }

    /// Returns the changes to the environment.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.0.environment.changes()
    }

    /// Returns whether the program gets none of the caller's variables, because of [`env_clear`](Self::env_clear).
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// assert!(!Command::new("env").get_env_clear());
    /// assert!(Command::new("env").env_clear().get_env_clear());
    /// ```
    #[must_use]
    pub fn get_env_clear(&self) -> bool {
        self.0.environment.is_cleared()
    }

    /// Returns the working directory, or `None` if it is the caller's.
    ///
    /// ```
    /// use clone_trampoline::Command;
    /// use std::path::Path;
    ///
    /// assert_eq!(Command::new("ls").get_current_dir(), None);
    /// assert_eq!(Command::new("ls").current_dir("/").get_current_dir(), Some(Path::new("/")));
    /// ```
    #[must_use]
    pub fn get_current_dir(&self) -> Option<&Path> {
        self.0.directory.as_deref()
    }
}

/// Shows the same as std: `{:?}` is a command line for a shell, and `{:#?}` is everything that was requested.
impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The arguments of a [`Command`], from [`get_args`](Command::get_args).
#[derive(Clone, Debug)]
#[must_use = "iterators are lazy and do nothing unless consumed"]
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

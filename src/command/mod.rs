//! `Command`: a program in a child of its own, as std's, without a copy of the memory.
//!
//! The child shares the memory until it executes the program, and runs beside the caller, on room of the caller's stack.
//! `plan` makes a list of steps of what was asked for, `child` walks it in the child, and `launch` starts the child and
//! waits until it no longer has the memory.

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

/// Starts programs as [`std::process::Command`] does. The cost of a start does not grow with the caller's memory, whatever
/// is asked for.
///
/// Names, meanings and defaults are std's. A program is looked for where std looks for it. For some requests std has to call
/// fork(2), which copies the page tables. Here each request is a step of a child that shares the memory, so a gigabyte of
/// it costs nothing. The caller stays awake while the child prepares itself: it can handle signals, and it can be
/// stopped. Only closures of [`pre_exec`](Self::pre_exec) make it sleep.
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
/// A start has these parts, in this order: what the kernel does at birth (flags, cgroup, pid), `oom_score_adj`, maps of ids,
/// namespaces to join, host name, mounts, session, process group, terminal, descriptors, limits, root directory, bounding set,
/// groups, gid, uid, capabilities, `no_new_privs`, the signal at the parent's death, working directory, umask, signals,
/// closures, landlock, filters, the program. The first part that fails gives the error.
///
/// A start takes 16 KiB of the calling thread's stack. A signal handler of the caller must not leave a start by longjmp(3),
/// and not return in a copy that it has made of the process by fork(2). A child that is being started keeps the ids that the
/// caller had, even if another thread changes them meanwhile. Before Linux 5.16 a child that dumps core before it executes its
/// program ends the caller, too.
///
/// A debugger or strace(1) sees the child as that of vfork(2): where the program is traced, the calling thread sleeps in each
/// start, as with closures. valgrind ends a program that starts another one so.
///
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

    /// Sets `argv[0]`, the name by which the program knows itself. By default it is the program.
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

    /// Removes all variables. What `env` set before is removed, too.
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

    /// The program's working directory.
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

    /// The program's stdin. By default it is the caller's; for [`output`](Self::output) it is `/dev/null`.
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

    /// The program's stdout. By default it is the caller's; for [`output`](Self::output) it is a pipe.
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

    /// The program's stderr. By default it is the caller's; for [`output`](Self::output) it is a pipe.
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

    /// Whether the program leads a new session, setsid(2).
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

    /// The program's process group, setpgid(2). 0 makes a new one, with the program's pid as its number.
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

    /// The program's root directory, chroot(2), which takes `CAP_SYS_CHROOT`. The working directory is then `/` of that root,
    /// unless another one is asked for.
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

    /// The program's supplementary groups, setgroups(2), which takes `CAP_SETGID`.
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

    /// The program's gid: real, effective and saved, setresgid(2). `u32::MAX` is an error, because it is no id.
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

    /// The program's uid: real, effective and saved, setresuid(2). Without [`groups`](Self::groups) the supplementary groups are
    /// dropped. As with std, they stay if the caller may not drop them. `u32::MAX` is an error, because it is no id.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// match Command::new("id").groups(&[]).gid(65534).uid(65534).output() {
    ///     Ok(output) => assert!(output.stdout.starts_with(b"uid=65534")),
    ///     Err(error) => println!("{error}"), // without privileges `groups: Operation not permitted`
    /// }
    /// ```
    pub fn uid(&mut self, id: u32) -> &mut Self {
        self.0.uid = Some(id);
        self
    }

    /// Runs a closure in the child, before landlock, filters and the program. At each start all closures run, in the order in
    /// which they were given.
    ///
    /// The closure runs in the caller's memory, with the caller's thread-local storage. What it writes there stays. The
    /// calling thread sleeps until the program is executed: it handles no signals, a shell may not learn of Ctrl-Z, and
    /// set*id in another thread waits. If the closure returns an error, the start fails with all of that error's words.
    /// If it panics, the child ends by `SIGABRT`. In a program that is built with `panic = "abort"` the caller's thread then
    /// counts as panicking for ever.
    ///
    /// The program's environment was made before: a variable that the closure sets is set in the caller, and not for the program.
    ///
    /// On musl `raise`, `abort` and `gettid` of libc name the caller's thread, not the child.
    ///
    /// # Safety
    ///
    /// As for [`CommandExt::pre_exec`](std::os::unix::process::CommandExt::pre_exec), with four more. Other threads run at
    /// the same time, in the same memory. If one of them may call set*id or setgroups of libc, the closure does not: both would
    /// wait for ever, so use [`uid`](Self::uid), [`gid`](Self::gid) and [`groups`](Self::groups), or the system call itself. A
    /// signal can end the child at any point of the closure: a lock that it holds then
    /// stays locked, and data that it is changing stay half changed. And nothing that the closure leaves in memory may own
    /// what only the child has, such as a descriptor that it has opened.
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

    /// Starts the program.
    ///
    /// # Errors
    ///
    /// Of the parts of the start, the first one that failed. The child is gone then, and the caller gets no `SIGCHLD`.
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
    /// After a failure, descriptors and blocked signals are as before, with one exception: after `close_other_fds` the other
    /// descriptors are close-on-exec. Other steps stay, as with std: the calling thread's ids, capabilities, namespaces,
    /// filters, `no_new_privs` and signal at its parent's death; the root, the directory, the umask, limits, the session and
    /// the actions of signals, so `SIGPIPE` is no longer ignored. What only a child can have is an error: flags, maps of ids, a
    /// cgroup, a pid. In a program of several
    /// threads a number above 2 must be free or belong to this `Command`. Otherwise the error is `EBUSY`, because another
    /// thread may use what is open there.
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

    /// The changes of the environment.
    pub fn get_envs(&self) -> CommandEnvs<'_> {
        self.0.environment.changes()
    }

    /// Whether the program gets nothing of the caller's environment.
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

    /// The working directory, if it is not the caller's.
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

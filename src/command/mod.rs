//! `Command`: a program in a child of its own, as std's, without a copy of the memory.
//!
//! The child shares the memory until it executes the program, and runs beside the caller, on room of the caller's stack.
//! `plan` makes a list of steps of what was asked for, `child` walks it in the child, and `launch` starts the child and
//! waits until it no longer has the memory.

#![allow(unsafe_code, reason = "a function that is unsafe to call")]

mod birth;
mod capabilities;
mod child;
mod closures;
mod confine;
mod environment;
mod exec;
mod fds;
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

use crate::{Child, SafeFlags};
use request::Request;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
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

    /// A program by an open descriptor, execveat(2), with a name that it knows itself by. Nothing is looked for: what was opened
    /// is executed. An interpreter that a `#!` line names cannot open the descriptor, which is close-on-exec.
    ///
    /// ```
    /// use clone_trampoline::Command;
    /// use std::fs::File;
    ///
    /// let program = File::open("/bin/echo")?;
    /// assert_eq!(Command::from_fd("echo", program).arg("said").output()?.stdout, b"said\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn from_fd<S: AsRef<OsStr>, F: Into<OwnedFd>>(name: S, program: F) -> Self {
        let mut request = Request::new(name.as_ref());
        request.file = Some(program.into());
        Self(request)
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

    /// Gives the program this descriptor under this number. The `Command` keeps the descriptor until it is dropped. So the
    /// writing end of a pipe stays open that long. The last call for a number counts, and 0 to 2 take the place of stdin,
    /// stdout and stderr. The number has to be below `RLIMIT_NOFILE`.
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

    /// Whether the program gets only 0, 1, 2 and the descriptors of [`fd`](Self::fd). By default it gets every descriptor that
    /// is not close-on-exec, as with std. Needs close_range(2): Linux 5.9, or 5.11 with closures or [`exec`](Self::exec).
    /// Descriptors above the highest one that the program is given cost nothing: its child never has them. Those below are
    /// copied, and closed.
    ///
    /// ```
    /// use clone_trampoline::{Command, Stdio};
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "ls /proc/$$/fd"]).stdin(Stdio::null()).close_other_fds(true);
    /// assert_eq!(command.output()?.stdout, b"0\n1\n2\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn close_other_fds(&mut self, close: bool) -> &mut Self {
        self.0.close_other_fds = close;
        self
    }

    /// Asks for these flags, in addition to those asked for before: namespaces, `IO`, `SYSVSEM` and `NNP`. `FS`, `FILES` and
    /// `SIGHAND` are errors, because a program has its own.
    ///
    /// Namespaces other than `NEWUSER` need `CAP_SYS_ADMIN`, which the child has if `NEWUSER` is among them. With `NEWPID` the
    /// program is the first process of its pid namespace, and when it ends the kernel kills all others there. With `NEWTIME` it
    /// has a time namespace of its own (Linux 5.6). With `EMPTY_MNTNS` there is no file to execute, so it takes
    /// [`from_fd`](Self::from_fd) and a static program. See namespaces(7).
    ///
    /// ```
    /// use clone_trampoline::{Command, SafeFlags};
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "echo $$"]).flags(SafeFlags::NEWUSER | SafeFlags::NEWPID);
    /// match command.output() {
    ///     Ok(output) => assert_eq!(output.stdout, b"1\n"),
    ///     Err(error) => println!("no namespaces here: {error}"),
    /// }
    /// ```
    pub fn flags(&mut self, flags: SafeFlags) -> &mut Self {
        self.0.flags |= flags;
        self
    }

    /// Adds a line to the uid_map of a new user namespace (`NEWUSER`): `count` uids from `inside` on are those from `outside`
    /// on.
    ///
    /// The child writes a single line for the caller's own effective id. All other lines the caller writes, which takes
    /// `CAP_SETUID` in its namespace, or newuidmap(1) with a line for it in `/etc/subuid`. Both need `/proc`, and lines that
    /// the caller writes need a pidfd (Linux 5.2). A map alone does not change the program's ids: where the caller's own are
    /// not in it, the program has 65534 until [`uid`](Self::uid) and [`gid`](Self::gid) say otherwise. See
    /// user_namespaces(7).
    ///
    /// ```
    /// use clone_trampoline::{Command, SafeFlags};
    ///
    /// // SAFETY: no arguments to get wrong.
    /// let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    /// let mut command = Command::new("id");
    /// command.arg("-u").flags(SafeFlags::NEWUSER).uid_map(0, uid, 1).gid_map(0, gid, 1);
    /// match command.output() {
    ///     Ok(output) => assert_eq!(output.stdout, b"0\n"),
    ///     Err(error) => println!("no user namespaces here: {error}"),
    /// }
    /// ```
    pub fn uid_map(&mut self, inside: u32, outside: u32, count: u32) -> &mut Self {
        self.0.maps.add_uids(inside, outside, count);
        self
    }

    /// Adds a line to the gid_map, as [`uid_map`](Self::uid_map) to that of uids. Where the child writes it, setgroups(2) is
    /// denied in the namespace.
    pub fn gid_map(&mut self, inside: u32, outside: u32, count: u32) -> &mut Self {
        self.0.maps.add_gids(inside, outside, count);
        self
    }

    /// Joins a namespace, setns(2). The descriptor is that of an open `/proc/PID/ns/*`, which also says what kind it is
    /// (Linux 4.11). Several are joined in the order that gives the rights for it, whatever the order of the calls.
    ///
    /// The child of a child joins a user or a pid namespace, and new namespaces of [`flags`](Self::flags) are made inside. A
    /// time namespace cannot be joined, because the kernel refuses that to a process that shares its memory.
    ///
    /// ```
    /// use clone_trampoline::Command;
    /// use std::fs::File;
    ///
    /// let mut command = Command::new("true");
    /// match command.join_namespace(File::open("/proc/self/ns/net")?).status() {
    ///     Ok(status) => assert!(status.success()),
    ///     Err(error) => println!("{error}"), // without privileges `setns net: Operation not permitted`
    /// }
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn join_namespace<F: Into<OwnedFd>>(&mut self, namespace: F) -> &mut Self {
        self.0.namespaces.push(namespace.into());
        self
    }

    /// Whether mounts in the new mount namespace of `NEWNS` stay inside, and those made outside do not come in: mount(2) with
    /// `MS_REC | MS_PRIVATE`. By default they do; without it a privileged caller's new mounts can be seen outside, too, where
    /// `/` is shared.
    pub fn private_mounts(&mut self, private: bool) -> &mut Self {
        self.0.private_mounts = private;
        self
    }

    /// Adds a mount in the program's mount namespace, which takes `NEWNS`. They are made in the order of the calls.
    ///
    /// ```
    /// use clone_trampoline::{Command, Mount, SafeFlags};
    ///
    /// let mut command = Command::new("ls");
    /// command.arg("/mnt").flags(SafeFlags::NEWUSER | SafeFlags::NEWNS).mount(Mount::bind("/proc/self/ns", "/mnt"));
    /// match command.output() {
    ///     Ok(output) => assert!(output.stdout.starts_with(b"cgroup\n")),
    ///     Err(error) => println!("no namespaces here: {error}"),
    /// }
    /// ```
    pub fn mount(&mut self, mount: Mount) -> &mut Self {
        self.0.mounts.push(mount);
        self
    }

    /// Makes a directory the root of the program's mount namespace, after all mounts, and takes the old root off: pivot_root(2).
    /// Unlike [`chroot`](Self::chroot), nothing inside can get out of it. The working directory is then `/`.
    pub fn pivot_root<P: AsRef<Path>>(&mut self, directory: P) -> &mut Self {
        self.0.new_root = Some(directory.as_ref().to_owned());
        self
    }

    /// The host name in the program's UTS namespace, sethostname(2), which takes `NEWUTS`.
    ///
    /// ```
    /// use clone_trampoline::{Command, SafeFlags};
    ///
    /// let mut command = Command::new("uname");
    /// command.arg("-n").flags(SafeFlags::NEWUSER | SafeFlags::NEWUTS).hostname("inside");
    /// match command.output() {
    ///     Ok(output) => assert_eq!(output.stdout, b"inside\n"),
    ///     Err(error) => println!("no namespaces here: {error}"),
    /// }
    /// ```
    pub fn hostname<S: AsRef<OsStr>>(&mut self, name: S) -> &mut Self {
        self.0.hostname = Some(name.as_ref().to_owned());
        self
    }

    /// The cgroup that the program is born in: a directory of a cgroup v2 file system (Linux 5.7).
    ///
    /// Where tasks were killed by `cgroup.kill`, newer kernels (seen on 6.18) kill each program that is born there later, so make
    /// a new cgroup then.
    ///
    /// ```no_run
    /// let mut command = clone_trampoline::Command::new("make");
    /// command.cgroup(std::fs::File::open("/sys/fs/cgroup/batch")?);
    /// assert!(command.status()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn cgroup<F: Into<OwnedFd>>(&mut self, directory: F) -> &mut Self {
        self.0.cgroup = Some(directory.into());
        self
    }

    /// The program's pid, in each pid namespace from the innermost on (Linux 5.5). It takes `CAP_CHECKPOINT_RESTORE` or
    /// `CAP_SYS_ADMIN` over each of them, and pids that nobody has.
    ///
    /// ```
    /// use clone_trampoline::{Command, SafeFlags};
    ///
    /// let mut command = Command::new("true");
    /// match command.flags(SafeFlags::NEWUSER | SafeFlags::NEWPID).set_tid(&[1]).status() {
    ///     Ok(status) => assert!(status.success()),
    ///     Err(error) => println!("no namespaces here: {error}"),
    /// }
    /// ```
    pub fn set_tid(&mut self, tids: &[i32]) -> &mut Self {
        self.0.set_tid = tids.to_owned();
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

    /// Makes a terminal the controlling one of a new session, which the program leads: setsid(2) and ioctl_tty(2)
    /// `TIOCSCTTY`. A shell started so on the slave of a pseudoterminal has job control.
    pub fn controlling_terminal<F: Into<OwnedFd>>(&mut self, terminal: F) -> &mut Self {
        self.0.terminal = Some(terminal.into());
        self
    }

    /// Makes the program's process group the foreground one of its controlling terminal, as tcsetpgrp(3). Together with
    /// [`process_group(0)`](Self::process_group) that is how a shell starts a job. If the start fails, the group before is the
    /// foreground one again.
    pub fn foreground<F: Into<OwnedFd>>(&mut self, terminal: F) -> &mut Self {
        self.0.foreground = Some(terminal.into());
        self
    }

    /// A limit of prlimit(2). `u64::MAX` is no limit.
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

    /// The program's nice value, -20 to 19: setpriority(2). Values below the caller's take `CAP_SYS_NICE`.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// assert_eq!(Command::new("nice").nice(19).output()?.stdout, b"19\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn nice(&mut self, nice: i32) -> &mut Self {
        self.0.nice = Some(nice);
        self
    }

    /// The CPUs that the program may run on, from 0: sched_setaffinity(2). None of them is an error, `EINVAL`.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// match Command::new("nproc").affinity([0]).output() {
    ///     Ok(output) => assert_eq!(output.stdout, b"1\n"),
    ///     Err(error) => println!("{error}"), // if this program may not use the first CPU
    /// }
    /// ```
    pub fn affinity<I: IntoIterator<Item = usize>>(&mut self, cpus: I) -> &mut Self {
        self.0.cpus = Some(cpus.into_iter().collect());
        self
    }

    /// How soon the kernel kills the program when memory is short: -1000 (never) to 1000, proc_pid_oom_score_adj(5). Values below
    /// the caller's take `CAP_SYS_RESOURCE`. The calling thread sleeps until the program is executed, as with
    /// [`pre_exec`](Self::pre_exec), because the kernel would set the caller's value, too.
    ///
    /// ```
    /// let mut command = clone_trampoline::Command::new("cat");
    /// command.arg("/proc/self/oom_score_adj").oom_score_adj(1000);
    /// assert_eq!(command.output()?.stdout, b"1000\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn oom_score_adj(&mut self, score: i16) -> &mut Self {
        self.0.oom_score_adj = Some(score);
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

    /// The capabilities that the program has, whatever its uid, and can ever get: the bounding set is cut down to them, and they
    /// are permitted, effective, inheritable and ambient. It takes `CAP_SETPCAP`. See capabilities(7).
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let mut command = Command::new("grep");
    /// match command.args(["CapBnd", "/proc/self/status"]).capabilities([]).output() {
    ///     Ok(output) => assert_eq!(output.stdout, b"CapBnd:\t0000000000000000\n"),
    ///     Err(error) => println!("{error}"), // without privileges `capabilities []: Operation not permitted`
    /// }
    /// ```
    pub fn capabilities<I: IntoIterator<Item = Capability>>(&mut self, keep: I) -> &mut Self {
        self.0.capabilities = Some(keep.into_iter().collect());
        self
    }

    /// Whether the program can no longer gain privileges by execve(2): prctl(2) `PR_SET_NO_NEW_PRIVS`.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let mut command = Command::new("grep");
    /// command.args(["NoNewPrivs", "/proc/self/status"]).no_new_privs(true);
    /// assert_eq!(command.output()?.stdout, b"NoNewPrivs:\t1\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn no_new_privs(&mut self, set: bool) -> &mut Self {
        self.0.no_new_privs = set;
        self
    }

    /// The signal that the program gets when the *thread* that has started it ends: prctl(2) `PR_SET_PDEATHSIG`. The kernel
    /// clears it when a program with privileges is executed.
    ///
    /// ```
    /// use clone_trampoline::Command;
    /// use std::os::unix::process::ExitStatusExt;
    /// use std::thread;
    ///
    /// let start = || Command::new("sleep").arg("100").parent_death_signal(libc::SIGTERM).spawn();
    /// let mut child = thread::spawn(start).join().unwrap()?;
    /// // the thread has ended
    /// assert_eq!(child.wait()?.signal(), Some(libc::SIGTERM));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn parent_death_signal(&mut self, signal: i32) -> &mut Self {
        self.0.parent_death_signal = Some(signal);
        self
    }

    /// The program's umask, umask(2): the permission bits that new files do not get.
    ///
    /// ```
    /// let mut command = clone_trampoline::Command::new("sh");
    /// command.args(["-c", "umask; pwd"]).umask(0o027).current_dir("/");
    /// assert_eq!(command.output()?.stdout, b"0027\n/\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn umask(&mut self, mask: u32) -> &mut Self {
        self.0.umask = Some(mask);
        self
    }

    /// The signals that are blocked in the program, and no others. By default it is what the caller blocks.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let mut command = Command::new("sh");
    /// let script = "kill -TERM $$; echo still here";
    /// let output = command.args(["-c", script]).block_signals(&[libc::SIGTERM]).output()?;
    /// assert_eq!(output.stdout, b"still here\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn block_signals(&mut self, signals: &[i32]) -> &mut Self {
        self.0.blocked = Some(signals.to_owned());
        self
    }

    /// Sets signals to their default action, also if the caller ignores them. `SIGPIPE` always is, as with std. A signal that
    /// is to be [ignored](Self::ignore_signals), too, is ignored.
    ///
    /// ```
    /// use clone_trampoline::Command;
    /// use std::os::unix::process::ExitStatusExt;
    ///
    /// let mut command = Command::new("sh");
    /// command.args(["-c", "kill -HUP $$"]).default_signals(&[libc::SIGHUP]);
    /// assert_eq!(command.status()?.signal(), Some(libc::SIGHUP));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn default_signals(&mut self, signals: &[i32]) -> &mut Self {
        self.0.defaults.extend(signals);
        self
    }

    /// Signals that the program ignores.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let mut command = Command::new("sh");
    /// let script = "kill -TERM $$; echo still here";
    /// let output = command.args(["-c", script]).ignore_signals(&[libc::SIGTERM]).output()?;
    /// assert_eq!(output.stdout, b"still here\n");
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn ignore_signals(&mut self, signals: &[i32]) -> &mut Self {
        self.0.ignored.extend(signals);
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

    /// Restricts the program to a ruleset of landlock(7), landlock_restrict_self(2) (Linux 5.13). It takes
    /// [`no_new_privs`](Self::no_new_privs) or `CAP_SYS_ADMIN`. The rules hold for the execution of the program, too.
    pub fn landlock<F: Into<OwnedFd>>(&mut self, ruleset: F) -> &mut Self {
        self.0.ruleset = Some(ruleset.into());
        self
    }

    /// Adds a filter of system calls, seccomp(2): a BPF program, as an array of `struct sock_filter` in memory. It takes
    /// [`no_new_privs`](Self::no_new_privs) or `CAP_SYS_ADMIN`. It is the last step but execve(2), which it has to allow.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// // BPF_RET | BPF_K, SECCOMP_RET_ALLOW
    /// let mut allow_all = Vec::from(6_u16.to_ne_bytes());
    /// allow_all.extend([0, 0]);
    /// allow_all.extend(0x7fff_0000_u32.to_ne_bytes());
    /// assert!(Command::new("true").no_new_privs(true).seccomp_filter(&allow_all).status()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn seccomp_filter(&mut self, program: &[u8]) -> &mut Self {
        self.0.filters.push(program.to_owned());
        self
    }

    /// Makes a [`Child`] without a pidfd. A pidfd needs Linux 5.2 and one file descriptor.
    ///
    /// ```
    /// use clone_trampoline::Command;
    ///
    /// let mut child = Command::new("true").without_pidfd().spawn()?;
    /// assert!(child.pidfd().is_none());
    /// assert!(child.wait()?.success());
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn without_pidfd(&mut self) -> &mut Self {
        self.0.pidfd = false;
        self
    }

    /// The kernel reaps the program when it ends, and nobody gets a `SIGCHLD` (Linux 7.1). The status is with the pidfd: without
    /// it, [`wait`](Child::wait) is `ECHILD`.
    pub fn autoreap(&mut self) -> &mut Self {
        self.0.autoreap = true;
        self
    }

    /// The kernel kills the program when its [`Child`] is dropped, or this program ends in any way (Linux 7.1): when the last
    /// duplicate of the pidfd is closed. Implies [`autoreap`](Self::autoreap). It takes [`no_new_privs`](Self::no_new_privs)
    /// or `CAP_SYS_ADMIN`.
    ///
    /// ```
    /// let mut command = clone_trampoline::Command::new("sleep");
    /// match command.arg("100").no_new_privs(true).kill_on_close().spawn() {
    ///     Ok(child) => drop(child), // it is killed
    ///     Err(error) => assert!(error.to_string().contains("Linux 7.1")),
    /// }
    /// ```
    pub fn kill_on_close(&mut self) -> &mut Self {
        (self.0.autoreap, self.0.kill_on_close) = (true, true);
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
    /// descriptors are close-on-exec. Other steps stay, as with std: the calling thread's ids, the root, the directory, the
    /// umask, limits, the session and the actions of signals, so `SIGPIPE` is no longer ignored. In a program of several
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

//! What std's `Command` does not have.

use super::Command;
use super::capabilities::Capability;
use super::limits::Resource;
use super::mounts::Mount;
use super::request::Request;
use crate::SafeFlags;
use std::ffi::OsStr;
use std::os::fd::{OwnedFd, RawFd};
use std::path::Path;

/// What std's does not have.
impl Command {
    /// A program by an open descriptor, execveat(2), with a name that it knows itself by. Nothing is looked for: what was opened
    /// is executed. An interpreter that a `#!` line names cannot open the descriptor if it is close-on-exec, as std's files are.
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
    /// **Security**: who owns a user namespace may trace what is in it, and until the program is executed the child has the
    /// caller's memory. The crate hides the memory if the caller is root. If another user has capabilities, another process of
    /// that user's without them can reach it.
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
    /// user_namespaces(7). newuidmap(1) and newgidmap(1) are children of the caller's, so it gets their `SIGCHLD`.
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
    /// (Linux 4.11). Several are joined in the order that gives the rights for it, whatever the order of the calls, and new
    /// namespaces of [`flags`](Self::flags) are made inside of them.
    ///
    /// An intermediate child joins a user or a pid namespace, which takes clone3(2) (Linux 5.3). Some things cannot be had
    /// together, and are errors that say so: a pid namespace that is joined and `NEWPID`, a user namespace that is joined and
    /// maps of ids, a time namespace.
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

    /// Adds a mount in the program's mount namespace, which takes `NEWNS`. They are made in the order of the calls. All paths are
    /// those of the caller's root, and symbolic links are followed there. A directory that is made for a mount stays.
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
    /// Unlike after [`chroot`](Self::chroot), only a descriptor that the program is given can lead to the old root. The working
    /// directory is then `/`.
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

    /// The cgroup that the program is born in: a directory of a cgroup v2 file system (Linux 5.7). The calling thread sleeps until
    /// the program is executed, as with [`pre_exec`](Self::pre_exec): otherwise the cgroup's limit of memory could kill the
    /// caller, whose memory the child shares. In a frozen cgroup that is until it is thawed.
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
    /// The first process of a pid namespace (`NEWPID`) only gets `SIGKILL`, and signals that it handles.
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

    /// Restricts the program to a ruleset of landlock(7), landlock_restrict_self(2) (Linux 5.13). It takes
    /// [`no_new_privs`](Self::no_new_privs) or `CAP_SYS_ADMIN`. The rules hold for the execution of the program, too.
    pub fn landlock<F: Into<OwnedFd>>(&mut self, ruleset: F) -> &mut Self {
        self.0.ruleset = Some(ruleset.into());
        self
    }

    /// Adds a filter of system calls, seccomp(2): a BPF program, as an array of `struct sock_filter` in memory. It takes
    /// [`no_new_privs`](Self::no_new_privs) or `CAP_SYS_ADMIN`. Filters are the last step but execve(2), which they have to allow,
    /// as well as seccomp(2) for the next one.
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

    /// Makes a [`Child`](crate::Child) without a pidfd. A pidfd needs Linux 5.2 and one file descriptor.
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
    /// it, [`wait`](crate::Child::wait) is `ECHILD`.
    pub fn autoreap(&mut self) -> &mut Self {
        self.0.autoreap = true;
        self
    }

    /// The kernel kills the program when its [`Child`](crate::Child) is dropped, or this program ends in any way (Linux 7.1): when the last
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
}

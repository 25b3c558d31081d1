//! The methods of `Command` that std does not have.

use super::Command;
use super::capabilities::Capability;
use super::limits::Resource;
use super::mounts::Mount;
use super::request::Request;
use crate::SafeFlags;
use std::ffi::OsStr;
use std::os::fd::{OwnedFd, RawFd};
use std::path::Path;

/// Methods that std's `Command` does not have.
impl Command {
    /// Creates a `Command` for a program that is open as a descriptor, execveat(2). The name becomes its `argv[0]`.
    /// Nothing is looked up: the open file itself is executed. If the descriptor is close-on-exec, as std's files are,
    /// the program cannot be a script, because the interpreter of its `#!` line could not open the descriptor.
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

    /// Gives the program a descriptor under this number, dup(2). The `Command` keeps the descriptor until it is
    /// dropped, so the writing end of a pipe stays open that long. If the same number is given again, the last call
    /// counts. The numbers 0 to 2 take the place of stdin, stdout and stderr. The number has to be below
    /// `RLIMIT_NOFILE`, getrlimit(2).
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

    /// Sets whether the program gets only the descriptors 0, 1, 2 and those of [`fd`](Self::fd). By default it gets
    /// every descriptor that is not close-on-exec, as in std.
    ///
    /// This needs close_range(2): Linux 5.9, or 5.11 with closures or [`exec`](Self::exec). Descriptors above the
    /// highest one that the program gets cost nothing, because the child never has them. Lower ones are copied to the
    /// child and closed there.
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

    /// Adds flags of clone(2) to those of earlier calls: namespaces, `IO`, `SYSVSEM` and `NNP`. `FS`, `FILES` and
    /// `SIGHAND` are errors, because a program cannot share these things with its caller.
    ///
    /// Namespaces other than `NEWUSER` need `CAP_SYS_ADMIN`. The child has it if `NEWUSER` is among the flags. With
    /// `NEWPID` the program is the first process of its pid namespace. When it ends, the kernel kills all other processes
    /// there. It gets only `SIGKILL` and the signals that it handles, and it has to wait for orphans in the namespace. With `NEWTIME` it has its own time namespace (Linux 5.6). With `EMPTY_MNTNS` the child sees no
    /// file to execute, so the program must come from [`from_fd`](Self::from_fd) and be static. See namespaces(7).
    ///
    /// **Security**: the owner of a user namespace may trace all processes in it, and until the program is executed the
    /// child has the caller's memory. If the caller is root, the crate hides the memory. If the caller is another user
    /// with capabilities, the memory is not hidden, and a process of the same user without these capabilities can reach
    /// it.
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

    /// Adds a line to the uid_map of a new user namespace (`NEWUSER`), user_namespaces(7). It maps `count` uids, those
    /// from `inside` on in the namespace, to the uids from `outside` on in the caller's.
    ///
    /// If no map has more than one line, and that line is for the caller's own effective id alone, the child writes the
    /// maps. Otherwise the caller writes all lines. For that it needs `CAP_SETUID` in its namespace, or newuidmap(1)
    /// and a line in `/etc/subuid`. Both ways need `/proc`, and the caller also needs a pidfd (Linux 5.2). newuidmap(1)
    /// and newgidmap(1) run as children of the caller, so the caller gets their `SIGCHLD`.
    ///
    /// Without maps the program has the id 65534. It can then make no files in a file system that was mounted for it
    /// (`EOVERFLOW`). With a map to 0, or with [`uid`](Self::uid) 0, it has all capabilities in the namespace, until
    /// [`capabilities`](Self::capabilities) takes them.
    ///
    /// A map alone does not change the program's ids. If the caller's own ids are not in the map, the program has the
    /// id 65534 until [`uid`](Self::uid) and [`gid`](Self::gid) set another one.
    ///
    /// ```
    /// use clone_trampoline::{Command, SafeFlags};
    ///
    /// // SAFETY: the calls take no arguments.
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

    /// Adds a line to the gid_map, in the same way as [`uid_map`](Self::uid_map) adds one to the map of uids. If the
    /// child writes the gid_map, setgroups(2) is denied in the namespace.
    pub fn gid_map(&mut self, inside: u32, outside: u32, count: u32) -> &mut Self {
        self.0.maps.add_gids(inside, outside, count);
        self
    }

    /// Joins a namespace, setns(2). The descriptor is an open `/proc/PID/ns/*`, and the kernel says what kind of
    /// namespace it is (Linux 4.11). Whatever the order of the calls, several namespaces are joined in the order that
    /// gives the rights for each. New namespaces of [`flags`](Self::flags) are made inside the joined ones.
    ///
    /// An intermediate child joins the namespaces if there is a user or pid namespace among them, or if
    /// [`flags`](Self::flags) asks for new ones. To store the pidfd, this needs clone3(2) (Linux 5.3). Without a pidfd
    /// clone(2) is enough, unless the caller writes maps of ids. Some combinations are errors: a pid namespace together
    /// with `NEWPID`, and a user namespace together with maps of ids. A time namespace cannot be joined at all.
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

    /// Sets whether the mounts of the new mount namespace (`NEWNS`) are private, mount(2) with `MS_REC | MS_PRIVATE`.
    /// This is the default. New mounts then stay inside the namespace, and mounts that are made outside do not appear
    /// in it. If it is off, new mounts of a privileged caller can also be seen outside, where `/` is a shared mount.
    pub fn private_mounts(&mut self, private: bool) -> &mut Self {
        self.0.private_mounts = private;
        self
    }

    /// Adds a mount in the program's mount namespace, mount(2). This needs the flag `NEWNS`. Mounts are made in the
    /// order of the calls. All paths start at the caller's root, and symbolic links are followed there. A directory
    /// that is made for a mount stays, even if the start fails.
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

    /// Makes a directory the root of the program's mount namespace and removes the old root, pivot_root(2). This needs
    /// the flag `NEWNS`, and it is done after all mounts. Unlike after [`chroot`](Self::chroot), the program can reach
    /// the old root only through a descriptor that it was given. The working directory becomes `/`, unless
    /// [`current_dir`](Self::current_dir) sets another one.
    pub fn pivot_root<P: AsRef<Path>>(&mut self, directory: P) -> &mut Self {
        self.0.new_root = Some(directory.as_ref().to_owned());
        self
    }

    /// Sets the host name in the program's UTS namespace, sethostname(2). This needs the flag `NEWUTS`. The name has 64
    /// bytes at most.
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

    /// Sets the cgroup in which the program is born, cgroups(7). The descriptor is a directory of a cgroup v2 file
    /// system (Linux 5.7). The calling thread sleeps until the program is executed, as with
    /// [`pre_exec`](Self::pre_exec). Otherwise the cgroup's memory limit could kill the caller, because the child
    /// shares the caller's memory. If the cgroup is frozen, the caller sleeps until it is thawed.
    ///
    /// After tasks of a cgroup were killed by `cgroup.kill`, newer kernels (seen on 6.18) also kill each program that
    /// is born there later. Make a new cgroup then.
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

    /// Sets the program's pid in each pid namespace, from the innermost one outwards: `set_tid` of clone3(2) (Linux
    /// 5.5). This needs `CAP_CHECKPOINT_RESTORE` or `CAP_SYS_ADMIN` over each of these namespaces, and the pids must be
    /// free.
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

    /// Makes a terminal the controlling terminal of a new session that the program leads: setsid(2), and ioctl_tty(2)
    /// with `TIOCSCTTY`. A shell that is started like this on the slave of a pseudoterminal has job control.
    pub fn controlling_terminal<F: Into<OwnedFd>>(&mut self, terminal: F) -> &mut Self {
        self.0.terminal = Some(terminal.into());
        self
    }

    /// Makes the program's process group the foreground group of its controlling terminal, like tcsetpgrp(3). Together
    /// with [`process_group(0)`](Self::process_group) this is how a shell starts a job. If the start fails, the
    /// previous foreground group is restored.
    pub fn foreground<F: Into<OwnedFd>>(&mut self, terminal: F) -> &mut Self {
        self.0.foreground = Some(terminal.into());
        self
    }

    /// Sets a resource limit, prlimit(2). `u64::MAX` means no limit.
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

    /// Sets the program's nice value, from -20 to 19: setpriority(2). A value below the caller's needs `CAP_SYS_NICE`,
    /// or an `RLIMIT_NICE` that allows it.
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

    /// Sets the CPUs that the program may run on, counted from 0: sched_setaffinity(2). If the program can use none of
    /// them, the error is `EINVAL`.
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

    /// Sets how soon the kernel kills the program when memory is short, from -1000 (never) to 1000:
    /// proc_pid_oom_score_adj(5). Without `CAP_SYS_RESOURCE` it cannot be below the last value that a process with this
    /// capability has set. The calling thread sleeps until the program is executed, as with
    /// [`pre_exec`](Self::pre_exec). Otherwise the kernel would also set the caller's value.
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

    /// Sets the capabilities that the program has, whatever its uid. It can never get others, because the bounding set
    /// is cut down to these. They are permitted, effective, inheritable and ambient. This needs `CAP_SETPCAP`. See
    /// capabilities(7).
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

    /// Sets whether execve(2) can no longer give the program privileges: prctl(2) with `PR_SET_NO_NEW_PRIVS`.
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

    /// Sets the signal that the program gets when the *thread* that started it ends: prctl(2) with `PR_SET_PDEATHSIG`.
    /// The kernel clears this signal when a program with privileges is executed. The first process of a pid namespace
    /// (`NEWPID`) only gets `SIGKILL` and signals that it handles.
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

    /// Sets the program's umask, umask(2): the permission bits that its new files do not get.
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

    /// Sets the signals that are blocked in the program, sigprocmask(2). No others are blocked. By default these are
    /// the signals that the calling thread blocks.
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

    /// Sets signals to their default action, even if the caller ignores them: sigaction(2). `SIGPIPE` always gets its
    /// default action, as in std. A signal of both this and [`ignore_signals`](Self::ignore_signals) is ignored.
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

    /// Makes the program ignore signals, sigaction(2).
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

    /// Restricts the program by a ruleset of landlock(7): landlock_restrict_self(2) (Linux 5.13). This needs
    /// [`no_new_privs`](Self::no_new_privs) or `CAP_SYS_ADMIN`. The rules already hold when the program is executed, so
    /// they have to allow that.
    pub fn landlock<F: Into<OwnedFd>>(&mut self, ruleset: F) -> &mut Self {
        self.0.ruleset = Some(ruleset.into());
        self
    }

    /// Adds a filter of system calls, seccomp(2). It is a BPF program of 1 to 4096 instructions, given as an array of
    /// `struct sock_filter`. This needs [`no_new_privs`](Self::no_new_privs) or `CAP_SYS_ADMIN`. Filters are the last
    /// step before execve(2), so a filter has to allow execve(2) (or execveat(2) after [`from_fd`](Self::from_fd)). If
    /// another filter follows, it also has to allow seccomp(2).
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

    /// Starts the program without a pidfd in its [`Child`](crate::Child). A pidfd needs Linux 5.2 and one file
    /// descriptor.
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

    /// Lets the kernel reap the program when it ends (Linux 7.1). Nobody gets a `SIGCHLD`, and only the pidfd has the
    /// status. Without a pidfd, [`wait`](crate::Child::wait) fails with `ECHILD`.
    pub fn autoreap(&mut self) -> &mut Self {
        self.0.autoreap = true;
        self
    }

    /// Lets the kernel kill the program when the last duplicate of its pidfd is closed (Linux 7.1). This happens when
    /// its [`Child`](crate::Child) is dropped, or when this program ends in any way. It implies
    /// [`autoreap`](Self::autoreap), and it needs [`no_new_privs`](Self::no_new_privs) or `CAP_SYS_ADMIN`.
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

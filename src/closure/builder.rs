//! The request that all ways to start a closure have in common.

use crate::raw::CloneArgs;
use crate::start::call_for;
use crate::start::id_map::IdMaps;
use crate::{CloneFlags, Conflict, Error, SafeFlags, Stage};
use std::ffi::c_int;
use std::os::fd::{AsRawFd, BorrowedFd};

/// How a task is started: what it shares with its parent, and which namespaces it gets.
///
/// | | memory | runs | what comes back |
/// | --- | --- | --- | --- |
/// | [`call`](Self::call) | shared | while the caller sleeps | the closure's value, or its panic |
/// | [`spawn`](Self::spawn) | shared | beside the caller | the same, by [`join`](crate::JoinHandle::join) |
/// | [`fork`](Self::fork) | copied | beside the caller | an exit status |
///
/// By default a child that shares memory also shares what a thread shares: root and working directory (`FS`), file
/// descriptors (`FILES`), signal handlers (`SIGHAND`) and semaphore undo operations (`SYSVSEM`). If a flag excludes one
/// of these, the child gets its own: `NEWNS`, `EMPTY_MNTNS` and `NEWUSER` drop `FS`, `NEWIPC` drops `SYSVSEM`, and
/// `CLEAR_SIGHAND` drops `SIGHAND`. File descriptors are always shared, so a descriptor that is opened inside can be
/// returned. A request by name is never dropped: if the child cannot have it, that is an [`Error`]. By default a child
/// of `fork` shares nothing.
///
/// The methods take the builder by value, as those of [`std::thread::Builder`] do. Those of [`Command`](crate::Command)
/// take it by reference, as those of std's `Command` do.
///
/// ```
/// use clone_trampoline::{Builder, SafeFlags};
///
/// # if !clone_trampoline::call(|| ()).is_ok() { return }
/// // The closure borrows, returns by value, and changes only its own working directory.
/// let before = std::env::current_dir().unwrap();
/// let inside = Builder::new().share_fs(false).call(|| {
///     std::env::set_current_dir("/").unwrap();
///     std::env::current_dir().unwrap()
/// });
/// assert_eq!(inside.unwrap().to_str(), Some("/"));
/// assert_eq!(std::env::current_dir().unwrap(), before);
/// ```
///
#[doc = include_str!("../../docs/LIMITS.md")]
#[derive(Clone, Debug)]
pub struct Builder<'fd> {
    asked: SafeFlags,
    /// The things that are shared by default but not by this builder.
    private: SafeFlags,
    cgroup: Option<BorrowedFd<'fd>>,
    pub(crate) maps: IdMaps,
    pub(crate) pidfd: bool,
    pub(crate) allow_pid_namespace: bool,
    pub(crate) stack_size: usize,
    pub(crate) name: Option<String>,
}

impl Default for Builder<'_> {
    fn default() -> Self {
        Self::new()
    }
}

impl<'fd> Builder<'fd> {
    /// Makes a builder with the defaults.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            asked: SafeFlags::empty(),
            private: SafeFlags::empty(),
            cgroup: None,
            maps: IdMaps::new(),
            pidfd: true,
            allow_pid_namespace: false,
            stack_size: 2 * 1024 * 1024,
            name: None,
        }
    }

    /// Asks for these flags, in addition to those asked for before.
    ///
    /// Namespaces other than that of `NEWUSER` need `CAP_SYS_ADMIN`. The child has it if `NEWUSER` is among the flags.
    /// See namespaces(7).
    ///
    /// ```
    /// use clone_trampoline::{Builder, SafeFlags};
    ///
    /// let builder = Builder::new().flags(SafeFlags::NEWUSER | SafeFlags::NEWUTS);
    /// match builder.call(|| std::fs::read_link("/proc/self/ns/uts").ok()) {
    ///     Ok(inside) => assert_ne!(inside, std::fs::read_link("/proc/self/ns/uts").ok()),
    ///     Err(error) => println!("no user namespaces here: {error}"),
    /// }
    /// ```
    #[must_use]
    pub fn flags(mut self, flags: SafeFlags) -> Self {
        self.asked |= flags;
        self
    }

    /// Sets whether `call` and `spawn` share root, working directory and umask. They do so unless a flag excludes it. A
    /// closure that enters another mount namespace by setns(2) needs its own.
    #[must_use]
    pub fn share_fs(self, share: bool) -> Self {
        self.share(SafeFlags::FS, share)
    }

    /// Sets whether `call` and `spawn` share the table of signal handlers. They do so unless `CLEAR_SIGHAND` or
    /// [`allow_pid_namespace`](Self::allow_pid_namespace) is asked for.
    ///
    /// If the child has its own table, a handler that a library installs inside is missing outside, but the library
    /// remembers it (signal-hook and tokio do). A signal to the process group kills the child, and so the program, if
    /// the child has no handler for it.
    ///
    /// ```
    /// use clone_trampoline::Builder;
    ///
    /// let apart = Builder::new().share_fs(false).share_sighand(false).share_sysvsem(false);
    /// // The closure changes only its own directory, signals and semaphores.
    /// # _ = unsafe { libc::signal(libc::SIGUSR1, libc::SIG_DFL) };
    /// _ = apart.call(|| unsafe { libc::signal(libc::SIGUSR1, libc::SIG_IGN) });
    /// assert_eq!(unsafe { libc::signal(libc::SIGUSR1, libc::SIG_DFL) }, libc::SIG_DFL);
    /// ```
    #[must_use]
    pub fn share_sighand(self, share: bool) -> Self {
        self.share(SafeFlags::SIGHAND, share)
    }

    /// Sets whether `call` and `spawn` share the undo operations of System V semaphores. They do so unless `NEWIPC` is
    /// asked for. If they do not, an operation with `SEM_UNDO` is undone when the closure returns.
    #[must_use]
    pub fn share_sysvsem(self, share: bool) -> Self {
        self.share(SafeFlags::SYSVSEM, share)
    }

    fn share(mut self, flag: SafeFlags, share: bool) -> Self {
        if share {
            self.asked |= flag;
        } else {
            self.asked = self.asked - flag;
            self.private |= flag;
        }
        self
    }

    /// Adds a line to the uid_map of the namespace of `NEWUSER`: the `count` uids from `inside` on stand for the
    /// uids from `outside` on in the caller's namespace. Without a line all uids are 65534 inside.
    ///
    /// The child itself writes a map that has only the caller's effective uid. A thread of the parent writes other maps
    /// while the child waits. They need `CAP_SETUID` in the caller's namespace, or newuidmap(1) with a line for the
    /// caller in `/etc/subuid`. `fork` takes no maps, because its child or its parent can write them. See
    /// user_namespaces(7).
    ///
    /// ```
    /// use clone_trampoline::{Builder, SafeFlags};
    ///
    /// # let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
    /// let builder = Builder::new().flags(SafeFlags::NEWUSER).uid_map(0, uid, 1).gid_map(0, gid, 1);
    /// match builder.call(|| unsafe { libc::getuid() }) {
    ///     Ok(inside) => assert_eq!(inside, 0),
    ///     Err(error) => println!("no user namespaces here: {error}"),
    /// }
    /// ```
    #[must_use]
    pub fn uid_map(mut self, inside: u32, outside: u32, count: u32) -> Self {
        self.maps.add_uids(inside, outside, count);
        self
    }

    /// Adds a line to the gid_map, as [`uid_map`](Self::uid_map) does for uids. If the child writes the map,
    /// setgroups(2) is denied in the namespace.
    #[must_use]
    pub fn gid_map(mut self, inside: u32, outside: u32, count: u32) -> Self {
        self.maps.add_gids(inside, outside, count);
        self
    }

    /// Sets the cgroup that the child is born in: a directory of a cgroup v2 file system (Linux 5.7).
    ///
    /// Memory that the child of `call` or `spawn` uses is still charged to the program's cgroup, because it is the
    /// program's memory. CPU time, tasks and I/O are charged to the child's cgroup.
    ///
    /// ```no_run
    /// use clone_trampoline::Builder;
    /// use std::os::fd::AsFd;
    ///
    /// let cgroup = std::fs::File::open("/sys/fs/cgroup/batch")?;
    /// Builder::new().cgroup(cgroup.as_fd()).call(|| "work")?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    #[must_use]
    pub fn cgroup(mut self, directory: BorrowedFd<'fd>) -> Self {
        self.cgroup = Some(directory);
        self
    }

    /// Makes no pidfd for the handle of `spawn` and `fork`. A pidfd needs Linux 5.2, and one file descriptor.
    ///
    /// ```
    /// use clone_trampoline::Builder;
    ///
    /// let builder = Builder::new().without_pidfd().name("worker".into()).stack_size(256 * 1024);
    /// if let Ok(worker) = builder.spawn(|| std::thread::current().name().map(String::from)) {
    ///     assert!(worker.pidfd().is_none());
    ///     assert_eq!(worker.join().unwrap().as_deref(), Some("worker"));
    /// }
    /// ```
    #[must_use]
    pub fn without_pidfd(mut self) -> Self {
        self.pidfd = false;
        self
    }

    /// Names the thread of a spawned closure, as [`std::thread::Builder::name`] does.
    #[must_use]
    pub fn name(mut self, name: String) -> Self {
        self.name = Some(name);
        self
    }

    /// Sets the size of a spawned closure's stack in bytes. It is 2 MiB by default, and at least 64 KiB. `call` uses
    /// the caller's stack, and `fork` a copy of it. The program's thread-local variables take room in this stack, as in
    /// that of a std thread.
    #[must_use]
    pub fn stack_size(mut self, size: usize) -> Self {
        self.stack_size = size;
        self
    }

    /// Lets `call` and `spawn` start a closure in another pid namespace. That is the namespace of `NEWPID`, or one that
    /// the caller has set for its children by unshare(2) or setns(2).
    ///
    /// The child then has its own signal handlers. When the init of a pid namespace ends, the kernel sets `SIGCHLD` to
    /// ignored in its table of handlers.
    ///
    /// If the parent is killed or executes another program in the first microseconds of such a child's life, the child
    /// is not killed with it.
    ///
    /// # Safety
    ///
    /// The closure, and everything it calls, creates no thread. The kernel can give a thread of the child the same tid
    /// as a thread of the parent. A lock that knows its owner by the tid (the recursive mutex of the dynamic linker,
    /// and those of stdio in musl) would then let both threads in.
    ///
    /// ```
    /// use clone_trampoline::{Builder, SafeFlags};
    ///
    /// let builder = Builder::new().flags(SafeFlags::NEWUSER | SafeFlags::NEWPID);
    /// // SAFETY: the closure creates no thread.
    /// match unsafe { builder.allow_pid_namespace() }.call(std::process::id) {
    ///     Ok(pid) => assert_eq!(pid, 1),
    ///     Err(error) => println!("no user namespaces here: {error}"),
    /// }
    /// ```
    #[must_use]
    #[allow(unsafe_code, reason = "the caller makes a promise")]
    pub unsafe fn allow_pid_namespace(mut self) -> Self {
        self.allow_pid_namespace = true;
        self
    }

    /// Returns the arguments for a child in the parent's memory.
    pub(crate) fn sharing_memory(&self) -> Result<CloneArgs, Error> {
        let asked = CloneFlags::from(self.asked);
        let mut defaults = CloneFlags::FS | CloneFlags::SIGHAND | CloneFlags::SYSVSEM;
        defaults.remove(self.private.into());
        if asked.intersects(CloneFlags::NEWNS | CloneFlags::EMPTY_MNTNS | CloneFlags::NEWUSER) {
            defaults.remove(CloneFlags::FS);
        }
        if asked.contains(CloneFlags::NEWIPC) {
            defaults.remove(CloneFlags::SYSVSEM);
        }
        if asked.contains(CloneFlags::CLEAR_SIGHAND) {
            defaults.remove(CloneFlags::SIGHAND);
        }
        // When the init of a pid namespace ends, the kernel sets SIGCHLD to ignored in its table of handlers.
        if self.allow_pid_namespace {
            if asked.contains(CloneFlags::SIGHAND) {
                return Err(refuse(
                    "SIGHAND cannot be shared with a child that may be the init of a pid namespace",
                ));
            }
            defaults.remove(CloneFlags::SIGHAND);
        }
        // S2: the file descriptors must be the same inside and outside.
        let flags = asked | defaults | CloneFlags::VM | CloneFlags::FILES;
        // S3, for the namespace that the flags ask for.
        let allowed = if self.allow_pid_namespace { CloneFlags::NEWPID } else { CloneFlags::empty() };
        if let Some(conflict) = Conflict::of_shared_libc(flags - allowed) {
            return Err(refuse(conflict.message()));
        }
        // S5: there is no exit signal, so nobody else waits for the child.
        self.args(flags, 0)
    }

    /// Returns the arguments for a child in a copy of the memory.
    pub(crate) fn copying_memory(&self) -> Result<CloneArgs, Error> {
        if !self.maps.is_empty() {
            return Err(refuse("fork takes no maps of ids: the child or its parent can write them"));
        }
        self.args(self.asked.into(), libc::SIGCHLD)
    }

    fn args(&self, mut flags: CloneFlags, exit_signal: c_int) -> Result<CloneArgs, Error> {
        if self.cgroup.is_some() {
            flags |= CloneFlags::INTO_CGROUP;
        }
        if let Some(reason) = self.maps.conflict(flags) {
            return Err(refuse(reason));
        }
        if let Some(conflict) = Conflict::find(flags, exit_signal, call_for(flags)) {
            return Err(refuse(conflict.message()));
        }
        Ok(CloneArgs {
            flags: flags.bits(),
            exit_signal: exit_signal as u64,
            cgroup: self.cgroup.map_or(0, |fd| fd.as_raw_fd() as u64),
            ..CloneArgs::default()
        })
    }
}

fn refuse(reason: &'static str) -> Error {
    Error::new(Stage::Flags, libc::EINVAL, reason)
}

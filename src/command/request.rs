//! The requests that a `Command` has collected.

use super::capabilities::Capability;
use super::closures::Closures;
use super::environment::CommandEnv;
use super::limits::Resource;
use super::mounts::Mount;
use super::stdio::Stdio;
use crate::SafeFlags;
use crate::start::id_map::IdMaps;
use std::ffi::{OsStr, OsString, c_int};
use std::fmt;
use std::os::fd::{OwnedFd, RawFd};
use std::path::{Path, PathBuf};

/// All requests. A field that is None, false or empty was not requested. Only `pidfd` and `private_mounts` are true by
/// default.
pub(super) struct Request {
    pub(super) program: OsString,
    /// The program as an open file. It is not looked up then.
    pub(super) file: Option<OwnedFd>,
    /// All of argv, including `argv[0]`.
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: CommandEnv,
    pub(super) directory: Option<PathBuf>,
    pub(super) stdio: [Option<Stdio>; 3],
    pub(super) fds: Vec<(RawFd, OwnedFd)>,
    pub(super) close_other_fds: bool,
    pub(super) flags: SafeFlags,
    pub(super) maps: IdMaps,
    pub(super) namespaces: Vec<OwnedFd>,
    pub(super) private_mounts: bool,
    pub(super) mounts: Vec<Mount>,
    pub(super) new_root: Option<PathBuf>,
    pub(super) hostname: Option<OsString>,
    pub(super) cgroup: Option<OwnedFd>,
    pub(super) set_tid: Vec<libc::pid_t>,
    pub(super) setsid: bool,
    pub(super) terminal: Option<OwnedFd>,
    pub(super) foreground: Option<OwnedFd>,
    pub(super) process_group: Option<libc::pid_t>,
    pub(super) limits: Vec<(Resource, u64, u64)>,
    pub(super) nice: Option<c_int>,
    pub(super) cpus: Option<Vec<usize>>,
    pub(super) oom_score_adj: Option<i16>,
    pub(super) root: Option<PathBuf>,
    pub(super) groups: Option<Vec<u32>>,
    pub(super) gid: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) capabilities: Option<Vec<Capability>>,
    pub(super) no_new_privs: bool,
    pub(super) parent_death_signal: Option<c_int>,
    pub(super) umask: Option<u32>,
    pub(super) blocked: Option<Vec<c_int>>,
    pub(super) defaults: Vec<c_int>,
    pub(super) ignored: Vec<c_int>,
    pub(super) closures: Closures,
    pub(super) ruleset: Option<OwnedFd>,
    pub(super) filters: Vec<Vec<u8>>,
    pub(super) pidfd: bool,
    pub(super) autoreap: bool,
    pub(super) kill_on_close: bool,
}

impl Request {
    pub(super) fn new(program: &OsStr) -> Self {
        let program = program.to_owned();
        Self {
            arguments: vec![program.clone()],
            program,
            file: None,
            environment: CommandEnv::default(),
            directory: None,
            stdio: [None, None, None],
            fds: Vec::new(),
            close_other_fds: false,
            flags: SafeFlags::empty(),
            maps: IdMaps::new(),
            namespaces: Vec::new(),
            private_mounts: true,
            mounts: Vec::new(),
            new_root: None,
            hostname: None,
            cgroup: None,
            set_tid: Vec::new(),
            setsid: false,
            terminal: None,
            foreground: None,
            process_group: None,
            limits: Vec::new(),
            nice: None,
            cpus: None,
            oom_score_adj: None,
            root: None,
            groups: None,
            gid: None,
            uid: None,
            capabilities: None,
            no_new_privs: false,
            parent_death_signal: None,
            umask: None,
            blocked: None,
            defaults: Vec::new(),
            ignored: Vec::new(),
            closures: Closures::default(),
            ruleset: None,
            filters: Vec::new(),
            pidfd: true,
            autoreap: false,
            kill_on_close: false,
        }
    }

    /// Returns whether the program may see other files than the caller.
    pub(super) fn has_other_files(&self) -> bool {
        let program = Path::new(&self.program);
        let of_a_process =
            ["/proc", "/dev/fd", "/dev/stdin"].iter().any(|folder| program.starts_with(folder));
        self.root.is_some()
            || self.new_root.is_some()
            || !self.mounts.is_empty()
            || !self.namespaces.is_empty()
            || of_a_process
    }

    /// Shows the requests, in the order of their fields.
    fn debug_fields(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Command");
        debug.field("program", &self.program).field("args", &self.arguments);
        if !self.environment.is_the_callers() {
            debug.field("env", &self.environment);
        }
        let mut field = |name, value: Option<&dyn fmt::Debug>| {
            if let Some(value) = value {
                debug.field(name, value);
            }
        };
        fn some<T: fmt::Debug>(value: &Option<T>) -> Option<&dyn fmt::Debug> {
            value.is_some().then_some(value as &dyn fmt::Debug)
        }
        fn filled<'a, T: fmt::Debug>(values: &'a &[T]) -> Option<&'a dyn fmt::Debug> {
            (!values.is_empty()).then_some(values as &dyn fmt::Debug)
        }
        field("cwd", some(&self.directory));
        for (name, stdio) in ["stdin", "stdout", "stderr"].into_iter().zip(&self.stdio) {
            field(name, some(stdio));
        }
        field("fds", filled(&&*self.fds));
        field("close_other_fds", self.close_other_fds.then_some(&true));
        field("flags", (self.flags != SafeFlags::empty()).then_some(&self.flags));
        field("id_maps", (!self.maps.is_empty()).then_some(&self.maps));
        field("namespaces", filled(&&*self.namespaces));
        field("private_mounts", (!self.private_mounts).then_some(&false));
        field("mounts", filled(&&*self.mounts));
        field("pivot_root", some(&self.new_root));
        field("hostname", some(&self.hostname));
        field("cgroup", some(&self.cgroup));
        field("set_tid", filled(&&*self.set_tid));
        field("setsid", self.setsid.then_some(&true));
        field("controlling_terminal", some(&self.terminal));
        field("foreground", some(&self.foreground));
        field("process_group", some(&self.process_group));
        field("rlimits", filled(&&*self.limits));
        field("nice", some(&self.nice));
        field("affinity", some(&self.cpus));
        field("oom_score_adj", some(&self.oom_score_adj));
        field("chroot", some(&self.root));
        field("groups", some(&self.groups));
        field("gid", some(&self.gid));
        field("uid", some(&self.uid));
        field("capabilities", some(&self.capabilities));
        field("no_new_privs", self.no_new_privs.then_some(&true));
        field("parent_death_signal", some(&self.parent_death_signal));
        field("umask", some(&self.umask));
        field("block_signals", some(&self.blocked));
        field("default_signals", filled(&&*self.defaults));
        field("ignore_signals", filled(&&*self.ignored));
        field("landlock", some(&self.ruleset));
        field("seccomp_filters", filled(&&*self.filters));
        field("autoreap", self.autoreap.then_some(&true));
        field("kill_on_close", self.kill_on_close.then_some(&true));
        field("pidfd", (!self.pidfd).then_some(&false));
        debug.finish_non_exhaustive()
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if f.alternate() {
            return self.debug_fields(f);
        }
        if let Some(directory) = &self.directory {
            write!(f, "cd {directory:?} && ")?;
        }
        self.environment.write_for_a_shell(f)?;
        if self.arguments[0] != self.program {
            write!(f, "[{:?}] ", self.program)?;
        }
        write!(f, "{:?}", self.arguments[0])?;
        self.arguments[1..].iter().try_for_each(|argument| write!(f, " {argument:?}"))
    }
}

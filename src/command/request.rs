//! What a `Command` is asked for.

use super::closures::Closures;
use super::environment::CommandEnv;
use super::limits::Resource;
use super::stdio::Stdio;
use std::ffi::{OsStr, OsString, c_int};
use std::fmt;
use std::os::fd::{OwnedFd, RawFd};
use std::path::PathBuf;

/// None, false or empty: not asked for (`pidfd` apart).
pub(super) struct Request {
    pub(super) program: OsString,
    /// argv, its first included.
    pub(super) arguments: Vec<OsString>,
    pub(super) environment: CommandEnv,
    pub(super) directory: Option<PathBuf>,
    pub(super) stdio: [Option<Stdio>; 3],
    pub(super) fds: Vec<(RawFd, OwnedFd)>,
    pub(super) close_other_fds: bool,
    pub(super) setsid: bool,
    pub(super) process_group: Option<libc::pid_t>,
    pub(super) limits: Vec<(Resource, u64, u64)>,
    pub(super) nice: Option<c_int>,
    pub(super) cpus: Option<Vec<usize>>,
    pub(super) root: Option<PathBuf>,
    pub(super) groups: Option<Vec<u32>>,
    pub(super) gid: Option<u32>,
    pub(super) uid: Option<u32>,
    pub(super) no_new_privs: bool,
    pub(super) parent_death_signal: Option<c_int>,
    pub(super) umask: Option<u32>,
    pub(super) blocked: Option<Vec<c_int>>,
    pub(super) defaults: Vec<c_int>,
    pub(super) ignored: Vec<c_int>,
    pub(super) closures: Closures,
    pub(super) pidfd: bool,
}

impl Request {
    pub(super) fn new(program: &OsStr) -> Self {
        let program = program.to_owned();
        Self {
            arguments: vec![program.clone()],
            program,
            environment: CommandEnv::default(),
            directory: None,
            stdio: [None, None, None],
            fds: Vec::new(),
            close_other_fds: false,
            setsid: false,
            process_group: None,
            limits: Vec::new(),
            nice: None,
            cpus: None,
            root: None,
            groups: None,
            gid: None,
            uid: None,
            no_new_privs: false,
            parent_death_signal: None,
            umask: None,
            blocked: None,
            defaults: Vec::new(),
            ignored: Vec::new(),
            closures: Closures::default(),
            pidfd: true,
        }
    }

    /// What was asked for, in the order in which it was declared.
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
        field("setsid", self.setsid.then_some(&true));
        field("process_group", some(&self.process_group));
        field("rlimits", filled(&&*self.limits));
        field("nice", some(&self.nice));
        field("affinity", some(&self.cpus));
        field("chroot", some(&self.root));
        field("groups", some(&self.groups));
        field("gid", some(&self.gid));
        field("uid", some(&self.uid));
        field("no_new_privs", self.no_new_privs.then_some(&true));
        field("parent_death_signal", some(&self.parent_death_signal));
        field("umask", some(&self.umask));
        field("block_signals", some(&self.blocked));
        field("default_signals", filled(&&*self.defaults));
        field("ignore_signals", filled(&&*self.ignored));
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

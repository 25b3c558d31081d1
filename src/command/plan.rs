//! Turns the requests into a list of steps for the child.

use super::child::{RUNS, Step, address};
use super::fds::{Late, Move};
use super::namespaces::{hide_parent, include, own_pidfd};
use super::request::Request;
use super::stdio::Stdio;
use super::traced::is_traced;
use super::{confine, mounts, namespaces, session};
use crate::error::argument;
use crate::start::dumpable::{hides_from_owner, is_root};
use crate::start::id_map;
use crate::start::kernel_signals::Set;
use crate::{Error, Stage};
use std::any::Any;
use std::cell::Cell;
use std::ffi::{OsStr, OsString, c_int, c_long};
use std::fmt::Debug;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU32};

/// Who performs the steps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A child. `resets` says that the kernel does not remove its handlers at birth, so it has to reset them itself.
    Child { resets: bool },
    /// The caller, for `exec`.
    InPlace,
}

/// The child's steps, and everything that they point to.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// The number of steps that an intermediate child performs.
    pub(super) first: usize,
    /// The stage and the argument that an error of each step names.
    names: Vec<(Stage, Option<Box<OsStr>>)>,
    /// The moves of descriptors.
    pub(super) moves: Vec<Move>,
    /// The targets that are open in this process, but belong only to the `Command` and to this plan.
    pub(super) own: Vec<RawFd>,
    /// The caller's ends of pipes.
    pub(super) pipes: [Option<OwnedFd>; 3],
    pub(super) has_closures: bool,
    /// Whether the caller sleeps while the child has its memory. Closures need this, because they use the caller's
    /// thread-local storage and any amount of stack. `oom_score_adj` needs it, because the kernel sets the score of all
    /// tasks that share a memory, except in vfork(2). A cgroup needs it, because its memory limit could otherwise kill
    /// all tasks that share the memory. And debuggers need it.
    pub(super) sleeps: bool,
    /// Whether the memory has to be hidden before the child's birth.
    pub(super) hides: bool,
    /// Whether others could see the memory while the child has it.
    pub(super) watches: bool,
    /// Whether the child has made the memory undumpable.
    pub(super) has_changed_ids: Rc<AtomicBool>,
    /// Whether the child waits until its parent has written its maps of ids.
    pub(super) awaits_maps: bool,
    /// A pidfd of this process, if it has no pid in the child's pid namespace.
    pub(super) parent: Option<OwnedFd>,
    /// Nonzero until the kernel clears it, when the first child no longer has the memory.
    pub(super) word: Rc<AtomicU32>,
    /// Whether child and caller share the table of descriptors until the first step copies the part that is needed.
    pub(super) cuts_fds: bool,
    /// The signals that are blocked in the program. If none were asked for, the caller's mask is stored here just before
    /// the start.
    pub(super) mask: Rc<Cell<Set>>,
    /// The PATH in which the program is looked up, if its name has no slash.
    pub(super) path: Option<OsString>,
    /// Descriptors of the program that only the plan owns.
    pub(super) fds: Vec<OwnedFd>,
    /// The values that the steps point to.
    kept: Vec<Box<dyn Any>>,
}

pub(super) const NO_NAME: Option<Box<OsStr>> = None;

impl Plan {
    pub(super) fn new(request: &mut Request, defaults: [&Stdio; 3], way: Way) -> Result<Self, Error> {
        let has_closures = !request.closures.is_empty();
        let request = &*request;
        let joined = request.joined()?;
        let between = way != Way::InPlace && request.joins_before_birth(&joined);
        if way == Way::InPlace && include(&joined, libc::CLONE_NEWPID) {
            let hint = "only a child is in the pid namespace that is joined, and exec makes none";
            return Err(Error::new(Stage::JoinNamespace, libc::EINVAL, hint).at(argument("pid")));
        }
        request.check_birth(way == Way::InPlace, between)?;
        let awaits_maps = !request.maps.are_the_callers();
        let asks_for_parent = awaits_maps || request.parent_death_signal.is_some();
        let lowers_capabilities = request.capabilities.is_some();
        // To decide who may trace, the kernel checks the dumpable flag first and the capabilities afterwards. So the
        // flag has to be cleared before the capabilities change.
        let hides = hides_from_owner(request.flags.into()) || lowers_capabilities && is_root();
        let joins_user = include(&joined, libc::CLONE_NEWUSER);
        let changes_ids = request.uid.is_some() || request.gid.is_some() || lowers_capabilities;
        // A closure may also change the ids.
        let watches = way != Way::InPlace && (changes_ids || has_closures || hides || joins_user);
        let mut plan = Self {
            steps: Vec::with_capacity(8),
            names: Vec::with_capacity(8),
            moves: Vec::new(),
            own: Vec::new(),
            first: 0,
            has_closures,
            sleeps: has_closures
                || request.oom_score_adj.is_some()
                || request.cgroup.is_some()
                || is_traced(),
            hides,
            watches,
            has_changed_ids: Rc::new(AtomicBool::new(hides || lowers_capabilities || joins_user)),
            awaits_maps,
            parent: (asks_for_parent && hide_parent(request, &joined)).then(own_pidfd).transpose()?,
            word: Rc::new(AtomicU32::new(RUNS)),
            pipes: [None, None, None],
            // A closure may use the descriptors.
            cuts_fds: request.close_other_fds && !has_closures && way != Way::InPlace,
            mask: Rc::default(),
            path: None,
            fds: Vec::new(),
            kept: Vec::new(),
        };
        if between {
            plan.join_before_birth(request, &joined);
        }
        let fds = plan.prepare_fds(request, defaults)?;
        let late = fds.late;
        if !between {
            plan.adjust_oom_score(request);
        }
        plan.enter_namespaces(request, if between { &[] } else { &joined })?;
        // These steps use descriptors by the caller's numbers, so they come before `give_fds`.
        plan.leave_the_group(request);
        plan.give_fds(request, fds);
        plan.limit(request)?;
        plan.change_root(request)?;
        let marks = changes_ids && watches;
        if marks {
            plan.mark_credentials();
        }
        if lowers_capabilities {
            plan.hide(Stage::Capabilities);
        }
        plan.bound_capabilities(request);
        plan.change_ids(request)?;
        plan.set_capabilities(request);
        if marks {
            plan.look_for_mark();
        }
        plan.die_with_parent(request, way, late);
        plan.change_directory(request)?;
        plan.set_signals(request, way)?;
        // Closures come after the signals, because they may change them.
        if has_closures {
            if watches && request.parent_death_signal.is_none() {
                plan.mark_credentials();
            }
            plan.push(Stage::PreExec, NO_NAME, Step::Closures(&raw const request.closures));
            if watches {
                plan.look_for_mark();
            }
        }
        plan.confine(request, late.ruleset)?;
        plan.execute(request, late.program)?;
        Ok(plan)
    }

    /// Marks the child by a signal at the parent's death. The kernel clears it when the child's credentials change.
    fn mark_credentials(&mut self) {
        self.push(Stage::ParentDeath, NO_NAME, Step::Mark);
    }

    /// Adds a step that notes whether the credentials have changed since.
    fn look_for_mark(&mut self) {
        let changed = Rc::as_ptr(&self.has_changed_ids);
        self.push(Stage::ParentDeath, NO_NAME, Step::LookForMark(changed));
    }

    /// Returns the error for the step with this index.
    pub(super) fn error(&self, request: &Request, failed: usize, errno: c_int) -> Error {
        let (stage, argument) = self.names[failed].clone();
        let error = Error::from_errno(stage, errno).at(argument.clone());
        match (stage, errno) {
            (Stage::CloseFds, libc::ENOSYS | libc::EPERM | libc::EINVAL) => error.with_hint(Some(
                "needs close_range(2), let through by seccomp filters: Linux 5.9, and 5.11 with closures or exec",
            )),
            (Stage::Exec, libc::ENOEXEC) => {
                error.with_hint(Some("no program of this machine, and no `#!` line"))
            }
            (Stage::Exec, libc::EAGAIN) => {
                error.with_hint(Some("the program's user has as many tasks as RLIMIT_NPROC allows"))
            }
            (Stage::Exec, libc::ENOENT | libc::ENOTDIR) => error.with_hint(self.why_not_found(request)),
            (Stage::Exec, libc::EACCES) => error.with_hint(Some(
                "it is a directory or not executable, its file system is mounted noexec, landlock refuses it, or a directory \
                 on the way to it, or of PATH, cannot be searched",
            )),
            (Stage::Exec, libc::EPERM) => error.with_hint(Some("a seccomp filter refuses execve(2)")),
            (Stage::Setgroups | Stage::UidMap | Stage::GidMap, _) => {
                error.with_hint(id_map::why(&io::Error::from_raw_os_error(errno)))
            }
            (Stage::JoinNamespace, _) => error.with_hint(namespaces::why(errno)),
            (Stage::Mount | Stage::PrivateMounts | Stage::PivotRoot, _) => {
                error.with_hint(mounts::why(request, argument.as_deref(), errno))
            }
            (Stage::ControllingTerminal | Stage::Foreground, _) => error.with_hint(session::why(stage, errno)),
            (Stage::Landlock | Stage::Seccomp, _) => error.with_hint(confine::why(stage, errno)),
            (Stage::OomScoreAdj, libc::EACCES) => error.with_hint(Some(
                "a value below the last one that was set with CAP_SYS_RESOURCE takes that capability, which a new \
                 user namespace does not give",
            )),
            (Stage::OomScoreAdj, libc::ENOENT) => error.with_hint(Some("it is written in /proc: is it mounted?")),
            (Stage::Uid | Stage::Gid, libc::EINVAL) => {
                error.with_hint(Some("the id has no mapping in the user namespace"))
            }
            (Stage::Groups, libc::EINVAL) => {
                error.with_hint(Some("an id has no mapping in the user namespace, or there are too many groups"))
            }
            (Stage::Uid, libc::EPERM) => error.with_hint(Some("another uid takes CAP_SETUID")),
            (Stage::Gid, libc::EPERM) => error.with_hint(Some("another gid takes CAP_SETGID")),
            (Stage::Groups, libc::EPERM) => error.with_hint(Some(
                "it takes CAP_SETGID, and is denied in a user namespace for which the child has written the gid_map",
            )),
            (Stage::Rlimit, libc::EINVAL) => error.with_hint(Some("the soft limit is above the hard one")),
            (Stage::Rlimit, libc::EPERM) => {
                error.with_hint(Some("a hard limit above the caller's takes CAP_SYS_RESOURCE"))
            }
            (Stage::Affinity, libc::EINVAL) => {
                error.with_hint(Some("the program can use none of these CPUs"))
            }
            (Stage::ProcessGroup, libc::EPERM) => error.with_hint(Some(
                "the session has no such process group, or the program leads a session of its own",
            )),
            (Stage::ParentDeath, libc::EINVAL) => error.with_hint(Some("there is no such signal")),
            (Stage::Hostname, libc::EINVAL) => error.with_hint(Some("it has 64 bytes at most")),
            _ => error,
        }
    }

    pub(super) fn push(&mut self, stage: Stage, argument: Option<Box<OsStr>>, step: Step) {
        self.steps.push(step);
        self.names.push((stage, argument));
    }

    pub(super) fn call(
        &mut self,
        stage: Stage,
        argument: Option<Box<OsStr>>,
        number: c_long,
        [a, b, c, d]: [c_long; 4],
    ) {
        self.push(stage, argument, Step::Call { number, arguments: [a, b, c, d, 0, 0], tolerated: 0 });
    }

    /// Keeps values as long as the steps, and returns their address.
    pub(super) fn keep<T: 'static>(&mut self, values: Vec<T>) -> c_long {
        let place = address(values.as_ptr());
        self.kept.push(Box::new(values));
        place
    }

    /// Does the same for a text, with a NUL byte at its end.
    pub(super) fn keep_text(&mut self, stage: Stage, text: &OsStr) -> Result<c_long, Error> {
        Ok(self.keep([without_nul(stage, text)?, b"\0"].concat()))
    }

    fn call_with_path(&mut self, stage: Stage, number: c_long, path: &Path) -> Result<(), Error> {
        let place = self.keep_text(stage, path.as_os_str())?;
        self.call(stage, Some(path.as_os_str().into()), number, [place, 0, 0, 0]);
        Ok(())
    }

    fn change_root(&mut self, request: &Request) -> Result<(), Error> {
        if let Some(root) = &request.root {
            self.call_with_path(Stage::Chroot, libc::SYS_chroot, root)?;
            // Otherwise the working directory would stay outside of the new root.
            self.call_with_path(Stage::Chdir, libc::SYS_chdir, Path::new("/"))?;
        }
        Ok(())
    }

    fn change_ids(&mut self, request: &Request) -> Result<(), Error> {
        if let Some(groups) = &request.groups {
            let name = list(groups);
            let arguments = [groups.len() as c_long, self.keep(groups.clone()), 0, 0];
            self.call(Stage::Groups, name, SETGROUPS, arguments);
        } else if request.uid.is_some() {
            // As in std, the groups stay if the caller may not drop them.
            let step = Step::Call { number: SETGROUPS, arguments: [0; 6], tolerated: libc::EPERM };
            self.push(Stage::Groups, NO_NAME, step);
        }
        for (stage, id, number) in
            [(Stage::Gid, request.gid, SETRESGID), (Stage::Uid, request.uid, SETRESUID)]
        {
            if let Some(id) = id {
                // For the kernel this value means no change.
                if id == u32::MAX {
                    return Err(Error::new(stage, libc::EINVAL, "this is no id").at(argument(id)));
                }
                let value = id as c_long;
                self.call(stage, argument(id), number, [value, value, value, 0]);
            }
        }
        Ok(())
    }

    fn die_with_parent(&mut self, request: &Request, way: Way, late: Late) {
        if request.no_new_privs {
            let arguments = [c_long::from(libc::PR_SET_NO_NEW_PRIVS), 1, 0, 0];
            self.call(Stage::NoNewPrivs, NO_NAME, libc::SYS_prctl, arguments);
        }
        // This comes after the ids, because the kernel clears this signal when they change.
        if let Some(signal) = request.parent_death_signal {
            let arguments = [c_long::from(libc::PR_SET_PDEATHSIG), c_long::from(signal), 0, 0];
            self.call(Stage::ParentDeath, argument(signal), libc::SYS_prctl, arguments);
            let parent = match way {
                Way::Child { .. } => std::process::id(),
                Way::InPlace => parent_id(),
            };
            self.look_for_parent(parent, late.parent);
        }
    }

    /// Adds a step that fails if the parent ended before the child asked for the signal at its death.
    pub(super) fn look_for_parent(&mut self, parent: u32, pidfd: Option<RawFd>) {
        let step = Step::LookForParent { pid: parent as c_long, pidfd: pidfd.unwrap_or(-1) };
        self.push(Stage::ParentDeath, NO_NAME, step);
    }

    fn change_directory(&mut self, request: &Request) -> Result<(), Error> {
        if let Some(directory) = &request.directory {
            self.call_with_path(Stage::Chdir, libc::SYS_chdir, directory)?;
        }
        if let Some(mask) = request.umask {
            // umask(2) cannot fail. It returns the previous mask.
            self.call(Stage::Umask, NO_NAME, libc::SYS_umask, [mask as c_long, 0, 0, 0]);
        }
        Ok(())
    }
}

pub(super) fn without_nul(stage: Stage, text: &OsStr) -> Result<&[u8], Error> {
    if text.as_bytes().contains(&0) {
        return Err(Error::new(stage, libc::EINVAL, "there is a NUL byte in it").at(Some(text.into())));
    }
    Ok(text.as_bytes())
}

/// Formats a list for an error, and shortens it if it is long.
pub(super) fn list<T: Debug>(all: &[T]) -> Option<Box<OsStr>> {
    const MOST: usize = 16;
    argument(match all.get(..MOST) {
        Some(first) if all.len() > MOST => format!("{first:?} and {} more", all.len() - MOST),
        _ => format!("{all:?}"),
    })
}

// 32-bit architectures that used to have 16-bit ids have a second set of calls.
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
use libc::{SYS_setgroups as SETGROUPS, SYS_setresgid as SETRESGID, SYS_setresuid as SETRESUID};
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
use libc::{SYS_setgroups32 as SETGROUPS, SYS_setresgid32 as SETRESGID, SYS_setresuid32 as SETRESUID};

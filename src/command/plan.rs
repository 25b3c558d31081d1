//! What was asked for, as a list of the child's steps.

use super::child::{Step, action, address};
use super::fds::{self, Move};
use super::mask::{Mask, Set, set_of};
use super::request::Request;
use super::stdio::{Kind, Stdio};
use crate::arch::NSIG;
use crate::error::argument;
use crate::{Error, Stage};
use std::any::Any;
use std::cell::Cell;
use std::ffi::{OsStr, OsString, c_int, c_long};
use std::fmt::Debug;
use std::fs::OpenOptions;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::parent_id;
use std::path::Path;
use std::ptr;
use std::rc::Rc;

/// Who performs the steps.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// A child, which has to reset the handlers, or was born without.
    Child { resets: bool },
    /// The caller, for `exec`.
    InPlace,
}

/// The child's steps, and everything that they point to.
pub(super) struct Plan {
    pub(super) steps: Vec<Step>,
    /// The stage and the argument that an error of each step names.
    names: Vec<(Stage, Option<Box<OsStr>>)>,
    /// The moves of descriptors, which come first.
    pub(super) moves: Vec<Move>,
    /// Those of the targets that are open in this process, and nobody's but the `Command`'s and this plan's.
    pub(super) own: Vec<RawFd>,
    /// The caller's ends of pipes.
    pub(super) pipes: [Option<OwnedFd>; 3],
    pub(super) has_closures: bool,
    /// Whether child and caller share the table of descriptors until the first step copies the part that is needed.
    pub(super) cuts_fds: bool,
    /// The signals that are blocked in the program. If none were asked for, the caller's mask is stored here just before
    /// the start.
    mask: Rc<Cell<Set>>,
    /// The PATH in which the program is looked for, if it has no slash.
    path: Option<OsString>,
    /// Descriptors of the program that only the plan owns.
    fds: Vec<OwnedFd>,
    /// What the steps point to.
    kept: Vec<Box<dyn Any>>,
}

const NO_NAME: Option<Box<OsStr>> = None;

impl Plan {
    pub(super) fn new(request: &mut Request, defaults: [&Stdio; 3], way: Way) -> Result<Self, Error> {
        let has_closures = !request.closures.is_empty();
        let request = &*request;
        let mut plan = Self {
            steps: Vec::with_capacity(8),
            names: Vec::with_capacity(8),
            moves: Vec::new(),
            own: Vec::new(),
            has_closures,
            pipes: [None, None, None],
            // a closure may use them
            cuts_fds: request.close_other_fds && !has_closures && way != Way::InPlace,
            mask: Rc::default(),
            path: None,
            fds: Vec::new(),
            kept: Vec::new(),
        };
        plan.give_fds(request, defaults)?;
        plan.leave_the_group(request);
        plan.limit(request)?;
        plan.change_root(request)?;
        plan.change_ids(request)?;
        plan.die_with_parent(request, way);
        plan.change_directory(request)?;
        plan.set_signals(request, way)?;
        // after the signals, which they may change
        if has_closures {
            plan.push(Stage::PreExec, NO_NAME, Step::Closures(&raw const request.closures));
        }
        plan.execute(request)?;
        Ok(plan)
    }

    /// The error of the step of this number.
    pub(super) fn error(&self, request: &Request, failed: usize, errno: c_int) -> Error {
        let (stage, argument) = self.names[failed].clone();
        let error = Error::from_errno(stage, errno).at(argument);
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
            (Stage::Exec, libc::ENOENT) => {
                let directory = request.directory.as_deref().unwrap_or(Path::new(""));
                let mut files = candidates(request, self.path.as_deref()).map(|parts| parts.concat());
                // only if this process sees the same root
                if request.root.is_none()
                    && files.any(|file| directory.join(OsStr::from_bytes(&file)).is_file())
                {
                    error.with_hint(Some(
                        "it is there, but not the interpreter that its `#!` line or its ELF header names",
                    ))
                } else if let Some(path) = &self.path {
                    error.with_words(format!("not found in PATH={}", path.to_string_lossy()))
                } else {
                    error
                }
            }
            _ => error,
        }
    }

    /// Blocks the calling thread's signals. They are to be restored when the child is there.
    pub(super) fn block_signals(&self, request: &Request) -> Result<Mask, Error> {
        let mask = Mask::block_all()?;
        if request.blocked.is_none() {
            self.mask.set(mask.0);
        }
        Ok(mask)
    }

    fn push(&mut self, stage: Stage, argument: Option<Box<OsStr>>, step: Step) {
        self.steps.push(step);
        self.names.push((stage, argument));
    }

    fn call(
        &mut self,
        stage: Stage,
        argument: Option<Box<OsStr>>,
        number: c_long,
        [a, b, c, d]: [c_long; 4],
    ) {
        self.push(stage, argument, Step::Call { number, arguments: [a, b, c, d, 0, 0], tolerated: 0 });
    }

    /// Values that live as long as the steps; their address.
    fn keep<T: 'static>(&mut self, values: Vec<T>) -> c_long {
        let place = address(values.as_ptr());
        self.kept.push(Box::new(values));
        place
    }

    fn call_with_path(&mut self, stage: Stage, number: c_long, path: &Path) -> Result<(), Error> {
        let place = self.keep([without_nul(stage, path.as_os_str())?, b"\0"].concat());
        self.call(stage, Some(path.as_os_str().into()), number, [place, 0, 0, 0]);
        Ok(())
    }

    fn give_fds(&mut self, request: &Request, defaults: [&Stdio; 3]) -> Result<(), Error> {
        let mut moves = Vec::new();
        let mut kept = Vec::new();
        for (number, default) in defaults.into_iter().enumerate() {
            let target = number as c_int;
            // a descriptor of `fd` takes the place of this one
            if request.fds.iter().any(|(other, _)| *other == target) {
                continue;
            }
            match &request.stdio[number].as_ref().unwrap_or(default).0 {
                Kind::Inherit => kept.push(Move { source: target, target }),
                Kind::Standard(source) => moves.push(Move { source: *source, target }),
                Kind::Fd(fd) => moves.push(Move { source: fd.as_raw_fd(), target }),
                Kind::Null => {
                    let opened = OpenOptions::new().read(number == 0).write(number != 0).open("/dev/null");
                    let fd = opened.map_err(|error| {
                        Error::from_io(Stage::Stdio, &error).at(Some(OsStr::new("/dev/null").into()))
                    })?;
                    moves.push(Move { source: fd.as_raw_fd(), target });
                    self.fds.push(OwnedFd::from(fd));
                }
                Kind::Piped => {
                    let (reads, writes) =
                        fds::pipe().map_err(|error| Error::from_io(Stage::Stdio, &error))?;
                    let (ours, theirs) = if number == 0 { (writes, reads) } else { (reads, writes) };
                    moves.push(Move { source: theirs.as_raw_fd(), target });
                    self.fds.push(theirs);
                    self.pipes[number] = Some(ours);
                }
            }
        }
        for (target, fd) in &request.fds {
            moves.push(Move { source: fd.as_raw_fd(), target: *target });
        }
        let fds::Steps { steps, duplicates, in_the_way } = fds::steps(&mut moves)?;
        self.fds.extend(duplicates);
        self.own = in_the_way;

        if self.cuts_fds {
            let needed = moves.iter().chain(&kept).map(|it| it.source.max(it.target)).max().unwrap_or(-1);
            const UNSHARE: c_long = 1 << 1;
            let above = c_long::from(needed) + 1;
            self.call(
                Stage::CloseFds,
                NO_NAME,
                libc::SYS_close_range,
                [above, u32::MAX as c_long, UNSHARE, 0],
            );
        }
        for (argument, step) in steps {
            self.push(Stage::Fd, argument, step);
        }
        if request.close_other_fds {
            const CLOEXEC: c_long = 1 << 2;
            let targets = moves.iter().chain(&kept).map(|it| it.target);
            for (first, last) in fds::ranges_between(targets) {
                let how = if self.cuts_fds { 0 } else { CLOEXEC };
                self.call(Stage::CloseFds, NO_NAME, libc::SYS_close_range, [first, last, how, 0]);
            }
        }
        self.moves = moves;
        Ok(())
    }

    fn leave_the_group(&mut self, request: &Request) {
        if request.setsid {
            self.call(Stage::Session, NO_NAME, libc::SYS_setsid, [0; 4]);
        }
        // the leader of a new session leads a process group already, and may not leave it
        if let Some(group) = request.process_group.filter(|group| !(request.setsid && *group == 0)) {
            let arguments = [0, c_long::from(group), 0, 0];
            self.call(Stage::ProcessGroup, argument(group), libc::SYS_setpgid, arguments);
        }
    }

    fn limit(&mut self, request: &Request) -> Result<(), Error> {
        for (resource, soft, hard) in &request.limits {
            // struct rlimit64, on every architecture
            let limits = self.keep(vec![*soft, *hard]);
            let arguments = [0, c_long::from(resource.number()), limits, 0];
            self.call(Stage::Rlimit, argument(format_args!("{resource:?}")), libc::SYS_prlimit64, arguments);
        }
        if let Some(nice) = request.nice {
            let arguments = [libc::PRIO_PROCESS as c_long, 0, c_long::from(nice), 0];
            self.call(Stage::Nice, argument(nice), libc::SYS_setpriority, arguments);
        }
        if let Some(cpus) = &request.cpus {
            let name = list(cpus);
            // no kernel is built for so many CPUs
            if cpus.iter().any(|cpu| *cpu > 0xffff) {
                return Err(Error::new(Stage::Affinity, libc::EINVAL, "there is no such CPU").at(name));
            }
            // the kernel's set: an array of long
            let bits = usize::BITS as usize;
            let mut set = vec![0_usize; cpus.iter().max().map_or(1, |cpu| cpu / bits + 1)];
            for cpu in cpus {
                set[cpu / bits] |= 1 << (cpu % bits);
            }
            let size = size_of_val(&*set) as c_long;
            let set = self.keep(set);
            self.call(Stage::Affinity, name, libc::SYS_sched_setaffinity, [0, size, set, 0]);
        }
        Ok(())
    }

    fn change_root(&mut self, request: &Request) -> Result<(), Error> {
        if let Some(root) = &request.root {
            self.call_with_path(Stage::Chroot, libc::SYS_chroot, root)?;
            // or the working directory stays outside of it
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
            // As std: the groups stay if the caller may not drop them.
            let step = Step::Call { number: SETGROUPS, arguments: [0; 6], tolerated: libc::EPERM };
            self.push(Stage::Groups, NO_NAME, step);
        }
        for (stage, id, number) in
            [(Stage::Gid, request.gid, SETRESGID), (Stage::Uid, request.uid, SETRESUID)]
        {
            if let Some(id) = id {
                // to the kernel it means that nothing is to be changed
                if id == u32::MAX {
                    return Err(Error::new(stage, libc::EINVAL, "this is no id").at(argument(id)));
                }
                let value = id as c_long;
                self.call(stage, argument(id), number, [value, value, value, 0]);
            }
        }
        Ok(())
    }

    fn die_with_parent(&mut self, request: &Request, way: Way) {
        if request.no_new_privs {
            let arguments = [c_long::from(libc::PR_SET_NO_NEW_PRIVS), 1, 0, 0];
            self.call(Stage::NoNewPrivs, NO_NAME, libc::SYS_prctl, arguments);
        }
        // after the ids, because the kernel clears this signal when they change
        if let Some(signal) = request.parent_death_signal {
            let arguments = [c_long::from(libc::PR_SET_PDEATHSIG), c_long::from(signal), 0, 0];
            self.call(Stage::ParentDeath, argument(signal), libc::SYS_prctl, arguments);
            let parent = match way {
                Way::Child { .. } => std::process::id(),
                Way::InPlace => parent_id(),
            };
            self.push(Stage::ParentDeath, NO_NAME, Step::LookForParent(parent as c_long));
        }
    }

    fn change_directory(&mut self, request: &Request) -> Result<(), Error> {
        if let Some(directory) = &request.directory {
            self.call_with_path(Stage::Chdir, libc::SYS_chdir, directory)?;
        }
        if let Some(mask) = request.umask {
            // cannot fail: what it returns is the mask before
            self.call(Stage::Umask, NO_NAME, libc::SYS_umask, [mask as c_long, 0, 0, 0]);
        }
        Ok(())
    }

    fn set_signals(&mut self, request: &Request, way: Way) -> Result<(), Error> {
        const SIZE: c_long = (NSIG / 8) as c_long;
        if way == (Way::Child { resets: true }) {
            self.push(Stage::ProgramSignals, NO_NAME, Step::ResetHandlers);
        }
        let defaults = request.defaults.iter().chain(&[libc::SIGPIPE]).map(|&signal| (signal, libc::SIG_DFL));
        let ignored = request.ignored.iter().map(|&signal| (signal, libc::SIG_IGN));
        for (signal, handler) in defaults.chain(ignored) {
            let action = self.keep(vec![action(handler)]);
            let arguments = [c_long::from(signal), action, 0, SIZE];
            self.call(Stage::ProgramSignals, argument(signal), libc::SYS_rt_sigaction, arguments);
        }
        if let Some(signals) = &request.blocked {
            self.mask.set(set_of(signals)?);
        }
        let arguments = [c_long::from(libc::SIG_SETMASK), address(self.mask.as_ptr()), 0, SIZE];
        self.call(Stage::ProgramSignals, NO_NAME, libc::SYS_rt_sigprocmask, arguments);
        Ok(())
    }

    fn execute(&mut self, request: &Request) -> Result<(), Error> {
        let mut strings = Strings::default();
        for argument in &request.arguments {
            strings.add(&[argument])?;
        }
        let arguments = strings.keep(self);

        let mut strings = Strings::default();
        let mut path = None;
        for (key, value) in request.environment.variables() {
            strings.add(&[&key, OsStr::new("="), &value])?;
            if key == "PATH" {
                path = Some(value);
            }
        }
        let environment = strings.keep(self);

        if !request.program.as_bytes().contains(&b'/') {
            self.path = Some(path.unwrap_or_else(|| OsString::from("/bin:/usr/bin")));
        }
        let mut strings = Strings::default();
        for parts in candidates(request, self.path.as_deref()) {
            strings.add(&parts.map(OsStr::from_bytes))?;
        }
        let candidates = strings.keep(self);
        let step = Step::Execute { candidates, arguments, environment };
        self.push(Stage::Exec, Some(request.program.as_os_str().into()), step);
        Ok(())
    }
}

/// The files that may be the program, in parts. Without a `PATH` it is itself.
fn candidates<'a>(request: &'a Request, path: Option<&'a OsStr>) -> impl Iterator<Item = [&'a [u8]; 3]> {
    let program = request.program.as_bytes();
    let path = path.map(OsStrExt::as_bytes);
    let folders = path.into_iter().flat_map(|path| path.split(|byte| *byte == b':'));
    // As execvp(3): a folder with too long a name is passed over, and an empty name is never found.
    let folders = folders.filter(|folder| folder.len() < libc::PATH_MAX as usize && !program.is_empty());
    let in_folders = folders.map(move |folder| {
        let slash: &[u8] = if folder.is_empty() { b"" } else { b"/" };
        [folder, slash, program]
    });
    path.is_none().then_some([program, b"", b""]).into_iter().chain(in_folders)
}

fn without_nul(stage: Stage, text: &OsStr) -> Result<&[u8], Error> {
    if text.as_bytes().contains(&0) {
        return Err(Error::new(stage, libc::EINVAL, "there is a NUL byte in it").at(Some(text.into())));
    }
    Ok(text.as_bytes())
}

/// Strings for execve(2), in one block.
#[derive(Default)]
struct Strings {
    block: Vec<u8>,
    starts: Vec<usize>,
}

impl Strings {
    /// Adds the parts as one.
    fn add(&mut self, parts: &[&OsStr]) -> Result<(), Error> {
        self.starts.push(self.block.len());
        for part in parts {
            self.block.extend_from_slice(without_nul(Stage::Exec, part)?);
        }
        self.block.push(0);
        Ok(())
    }

    /// Their addresses, and null.
    fn keep(self, plan: &mut Plan) -> *const c_long {
        let block = plan.keep(self.block);
        let addresses =
            self.starts.iter().map(|start| block.wrapping_add(*start as c_long)).chain([0]).collect();
        ptr::with_exposed_provenance(plan.keep::<c_long>(addresses) as usize)
    }
}

/// A list for an error, shortened if it is long.
fn list<T: Debug>(all: &[T]) -> Option<Box<OsStr>> {
    const MOST: usize = 16;
    argument(match all.get(..MOST) {
        Some(first) if all.len() > MOST => format!("{first:?} and {} more", all.len() - MOST),
        _ => format!("{all:?}"),
    })
}

// 32-bit architectures that had 16-bit ids have a second one.
#[cfg(not(any(target_arch = "x86", target_arch = "arm")))]
use libc::{SYS_setgroups as SETGROUPS, SYS_setresgid as SETRESGID, SYS_setresuid as SETRESUID};
#[cfg(any(target_arch = "x86", target_arch = "arm"))]
use libc::{SYS_setgroups32 as SETGROUPS, SYS_setresgid32 as SETRESGID, SYS_setresuid32 as SETRESUID};

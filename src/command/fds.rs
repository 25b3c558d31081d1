//! The descriptors of a program: which of the caller's descriptors it gets, and under which numbers.

#![allow(unsafe_code)]

use super::child::Step;
use super::plan::{NO_NAME, Plan};
use super::request::Request;
use super::stdio::{Kind, Stdio};
use crate::error::argument;
use crate::{Error, Stage};
use std::ffi::{OsStr, c_int, c_long};
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// A descriptor of the caller, and its number in the program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) source: RawFd,
    pub(super) target: RawFd,
}

impl Move {
    /// The argument that an error of this move names.
    pub(super) fn argument(self) -> Option<Box<OsStr>> {
        argument(format_args!("{} at {}", self.source, self.target))
    }
}

impl Plan {
    /// Finds out which descriptor gets which number, and adds the step that gives the child a table of its own. Until
    /// [`give_fds`](Self::give_fds) the descriptors have the caller's numbers.
    pub(super) fn prepare_fds(&mut self, request: &Request, defaults: [&Stdio; 3]) -> Result<Fds, Error> {
        // This check comes first, because a descriptor that is opened below could get the number of a closed one.
        for (stdio, default) in request.stdio.iter().zip(defaults) {
            if let Kind::Standard(source) = stdio.as_ref().unwrap_or(default).0 {
                // SAFETY: the call takes no pointers.
                if unsafe { libc::fcntl(source, libc::F_GETFD) } == -1 {
                    return Err(Error::from_io(Stage::Stdio, &io::Error::last_os_error()));
                }
            }
        }
        let mut moves = Vec::new();
        let mut kept = Vec::new();
        for (number, default) in defaults.into_iter().enumerate() {
            let target = number as c_int;
            // A descriptor of `Command::fd` takes the place of this one.
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
                    let (reads, writes) = pipe().map_err(|error| Error::from_io(Stage::Stdio, &error))?;
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
        let mut targets: Vec<RawFd> = moves.iter().map(|it| it.target).collect();
        let Steps { steps, duplicates, in_the_way } = steps(&mut moves, &targets)?;
        self.fds.extend(duplicates);
        self.own = in_the_way;
        let late = self.keep_late_fds(request, &targets)?;

        if self.cuts_fds {
            let given = moves.iter().chain(&kept).map(|it| it.source.max(it.target));
            let used = request.namespaces.iter().chain(&request.terminal).chain(&request.foreground);
            let needed = given.chain(used.map(AsRawFd::as_raw_fd)).chain(late.iter()).max().unwrap_or(-1);
            const UNSHARE: c_long = 1 << 1;
            let above = c_long::from(needed) + 1;
            self.call(
                Stage::CloseFds,
                NO_NAME,
                libc::SYS_close_range,
                [above, u32::MAX as c_long, UNSHARE, 0],
            );
        }
        targets.extend(kept.iter().map(|it| it.target));
        self.moves = moves;
        Ok(Fds { steps, targets, late })
    }

    /// Gives the program's descriptors their numbers.
    pub(super) fn give_fds(&mut self, request: &Request, fds: Fds) {
        for (argument, step) in fds.steps {
            self.push(Stage::Fd, argument, step);
        }
        if request.close_other_fds {
            const CLOEXEC: c_long = 1 << 2;
            // The other descriptors stay open until execve(2) if a later step or a closure uses one of them, or if this
            // is the caller's own table.
            let how = if self.cuts_fds && fds.late.iter().next().is_none() { 0 } else { CLOEXEC };
            for (first, last) in ranges_between(fds.targets) {
                self.call(Stage::CloseFds, NO_NAME, libc::SYS_close_range, [first, last, how, 0]);
            }
        }
    }

    /// Duplicates each descriptor that is used late and has the number of a target.
    fn keep_late_fds(&mut self, request: &Request, targets: &[RawFd]) -> Result<Late, Error> {
        let mut keep = |stage, fd: &OwnedFd| {
            let number = fd.as_raw_fd();
            if !targets.contains(&number) {
                return Ok(number);
            }
            let duplicate =
                duplicate(number, targets, &mut 0).map_err(|error| Error::from_io(stage, &error))?;
            let number = duplicate.as_raw_fd();
            self.fds.push(duplicate);
            Ok(number)
        };
        Ok(Late {
            program: request.file.as_ref().map(|fd| keep(Stage::Exec, fd)).transpose()?,
            ruleset: request.ruleset.as_ref().map(|fd| keep(Stage::Landlock, fd)).transpose()?,
            parent: self.parent.as_ref().map(|fd| keep(Stage::ParentDeath, fd)).transpose()?,
        })
    }
}

/// The results of `prepare_fds`.
pub(super) struct Fds {
    steps: Vec<(Option<Box<OsStr>>, Step)>,
    /// The numbers of the program's descriptors.
    targets: Vec<RawFd>,
    pub(super) late: Late,
}

/// Descriptors that steps use after the program's descriptors have got their numbers.
#[derive(Clone, Copy)]
pub(super) struct Late {
    pub(super) program: Option<RawFd>,
    pub(super) ruleset: Option<RawFd>,
    pub(super) parent: Option<RawFd>,
}

impl Late {
    fn iter(self) -> impl Iterator<Item = RawFd> {
        [self.program, self.ruleset, self.parent].into_iter().flatten()
    }
}

/// The steps that make some moves.
#[derive(Default)]
struct Steps {
    /// The steps, each with the argument that its error names.
    steps: Vec<(Option<Box<OsStr>>, Step)>,
    duplicates: Vec<OwnedFd>,
    /// The numbers of sources that were duplicated, because they are also targets.
    in_the_way: Vec<RawFd>,
}

/// Makes the steps for moves. If a source's number is also a target, `moves` gets a duplicate as its source. So the
/// moves can be made in any order, and dup3(2) is enough, although it refuses equal numbers.
fn steps(moves: &mut [Move], targets: &[RawFd]) -> Result<Steps, Error> {
    // The limit is read only if there is something to move.
    let limit = if targets.is_empty() { 0 } else { limit() };
    let mut all = Steps::default();
    let mut least = 0;
    for it in moves {
        let argument = it.argument();
        if it.target < 0 || it.target as libc::rlim_t >= limit {
            let hint = match it.target {
                ..0 => "no descriptor has a negative number".into(),
                _ => format!("RLIMIT_NOFILE is {limit}"),
            };
            return Err(Error::from_errno(Stage::Fd, libc::EBADF).at(argument).with_hint(Some(hint)));
        }
        if targets.contains(&it.source) {
            let duplicate = duplicate(it.source, targets, &mut least)
                .map_err(|error| Error::from_io(Stage::Fd, &error).at(argument.clone()))?;
            all.in_the_way.push(it.source);
            it.source = duplicate.as_raw_fd();
            all.duplicates.push(duplicate);
        }
        let arguments = [c_long::from(it.source), c_long::from(it.target), 0, 0, 0, 0];
        all.steps.push((argument, Step::Call { number: libc::SYS_dup3, arguments, tolerated: 0 }));
    }
    Ok(all)
}

/// Duplicates a descriptor to a number that is no target, from `least` on. All numbers below `least` are in use or are
/// targets.
fn duplicate(source: RawFd, targets: &[RawFd], least: &mut RawFd) -> io::Result<OwnedFd> {
    loop {
        // SAFETY: the call takes no pointers, and its result is a new descriptor that nobody else has.
        let fd = unsafe {
            match libc::fcntl(source, libc::F_DUPFD_CLOEXEC, *least) {
                -1 => {
                    let error = io::Error::last_os_error();
                    // `least` has reached the limit.
                    let full = error.raw_os_error() == Some(libc::EINVAL);
                    return Err(if full { io::Error::from_raw_os_error(libc::EMFILE) } else { error });
                }
                fd => OwnedFd::from_raw_fd(fd),
            }
        };
        *least = fd.as_raw_fd() + 1;
        if !targets.contains(&fd.as_raw_fd()) {
            return Ok(fd);
        }
    }
}

/// Returns the ranges of numbers between and above these.
fn ranges_between(mut kept: Vec<RawFd>) -> Vec<(c_long, c_long)> {
    const LAST: c_long = u32::MAX as c_long;
    kept.sort_unstable();
    let mut next: c_long = 0;
    let mut ranges = Vec::new();
    for target in kept {
        let target = c_long::from(target);
        if next < target {
            ranges.push((next, target - 1));
        }
        next = target + 1;
    }
    ranges.push((next, LAST));
    ranges
}

/// Makes a pipe, pipe2(2). Returns the reading end, and then the writing end.
fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds: [c_int; 2] = [-1; 2];
    // SAFETY: `fds` has room for two descriptors, which are new and ours.
    unsafe {
        match libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) {
            0 => Ok((OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]))),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Returns the soft limit on the numbers of descriptors.
fn limit() -> libc::rlim_t {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the address is that of a `struct rlimit`.
    match unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) } {
        0 => limit.rlim_cur,
        // A seccomp filter refuses the call. dup3(2) will still check the limit.
        _ => libc::RLIM_INFINITY,
    }
}

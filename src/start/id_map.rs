//! The user and group ids of a new user namespace, and who writes which map. See user_namespaces(7).
//!
//! The child itself may only map one id, which is that of its creator. All other maps need privileges in the parent's
//! namespace, so a thread of the parent writes them while the child waits. Without privileges the parent runs
//! newuidmap(1) and newgidmap(1), which follow /etc/subuid and /etc/subgid.

#![allow(unsafe_code)]

use super::dumpable::is_dumpable;
use crate::{CloneFlags, Error, Stage};
use std::ffi::{CStr, OsStr, c_int};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::ptr;

/// One line of a map: `count` ids from `inside` on stand for the ids from `outside` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    inside: u32,
    outside: u32,
    count: u32,
}

/// The two maps. An empty one is not written.
#[derive(Clone, Debug, Default)]
pub(crate) struct IdMaps {
    uids: Vec<Line>,
    gids: Vec<Line>,
}

impl IdMaps {
    pub(crate) const fn new() -> Self {
        Self { uids: Vec::new(), gids: Vec::new() }
    }

    pub(crate) fn add_uids(&mut self, inside: u32, outside: u32, count: u32) {
        self.uids.push(Line { inside, outside, count });
    }

    pub(crate) fn add_gids(&mut self, inside: u32, outside: u32, count: u32) {
        self.gids.push(Line { inside, outside, count });
    }

    /// Returns why a child with these flags cannot have the maps.
    pub(crate) fn conflict(&self, flags: CloneFlags) -> Option<&'static str> {
        let lacks = !self.is_empty() && !flags.contains(CloneFlags::NEWUSER);
        lacks.then_some("a uid_map or gid_map needs NEWUSER")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.uids.is_empty() && self.gids.is_empty()
    }

    /// Returns whether the child may write the maps itself.
    pub(crate) fn are_the_callers(&self) -> bool {
        let one = |lines: &[Line], id| {
            lines.iter().all(|line| (line.outside, line.count) == (id, 1)) && lines.len() <= 1
        };
        if self.is_empty() {
            return true;
        }
        // SAFETY: the calls take no arguments.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        one(&self.uids, uid) && one(&self.gids, gid)
    }

    /// Writes the maps of the calling process, which is the child.
    pub(crate) fn write_own(&self) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let own = Process::own()?;
        self.texts().try_for_each(|(stage, _, text)| own.write(stage, text.as_bytes()))
    }

    /// Returns what the child writes: the stage, the file in /proc and the text.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (Stage, &'static CStr, String)> {
        // Without privileges, the kernel takes a gid_map only after this.
        let deny = if self.gids.is_empty() { "" } else { "deny" };
        [
            (Stage::Setgroups, c"/proc/self/setgroups", deny.to_owned()),
            (Stage::UidMap, c"/proc/self/uid_map", text(&self.uids)),
            (Stage::GidMap, c"/proc/self/gid_map", text(&self.gids)),
        ]
        .into_iter()
        .filter(|(.., text)| !text.is_empty())
    }

    /// Writes the maps of a child of this process.
    pub(crate) fn write_of(&self, process: &Process) -> Result<(), Error> {
        for (stage, lines, helper) in
            [(Stage::UidMap, &self.uids, "newuidmap"), (Stage::GidMap, &self.gids, "newgidmap")]
        {
            let written = process.write_map(stage, lines);
            if written.as_ref().is_err_and(|error| {
                let refused = matches!(error.raw_os_error(), libc::EPERM | libc::EACCES);
                !refused || !process.has_been_written_by(helper, stage, lines)
            }) {
                return written;
            }
        }
        Ok(())
    }
}

/// A process, held by its open folder in /proc. Its own pid is not enough: if this /proc is that of another pid
/// namespace, the pid may name another process there.
#[derive(Debug)]
pub(crate) struct Process {
    folder: File,
    /// The name of the folder, which is a number.
    name: PathBuf,
}

impl Process {
    /// Opens the calling process.
    pub(crate) fn own() -> Result<Self, Error> {
        let opened = File::open("/proc/self").and_then(|folder| Ok((folder, fs::read_link("/proc/self")?)));
        match opened {
            Ok((folder, name)) => Ok(Self { folder, name }),
            Err(error) => Err(no_proc(&error)),
        }
    }

    /// Opens the process of a pidfd. Fails if the process has been reaped.
    pub(crate) fn of(pidfd: BorrowedFd<'_>) -> Result<Self, Error> {
        let number = pidfd.as_raw_fd();
        // The pid in this /proc. It is 0 if the process has no pid in the pid namespace of this /proc.
        let name = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).map(|text| {
            let pid = text.lines().find_map(|line| line.strip_prefix("Pid:")).map(str::trim);
            pid.filter(|pid| *pid != "0").unwrap_or("none").to_owned()
        });
        let opened = name.and_then(|name| Ok((File::open(format!("/proc/{name}"))?, name)));
        let (folder, name) = opened.map_err(|error| no_proc(&error))?;
        // If the process has not been reaped by now, the number was its own.
        let null = ptr::null::<libc::siginfo_t>();
        // SAFETY: the only pointer is null.
        match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, number, 0, null, 0) } {
            0 => Ok(Self { folder, name: name.into() }),
            _ => Err(Error::from_io(Stage::UidMap, &io::Error::last_os_error())),
        }
    }

    fn write_map(&self, stage: Stage, lines: &[Line]) -> Result<(), Error> {
        let text = text(lines);
        if text.is_empty() { Ok(()) } else { self.write(stage, text.as_bytes()) }
    }

    /// Runs the helper program, and returns whether it has written the map. With the open folder it cannot take another
    /// process for this one. Before shadow 4.14 it only takes the number that the process has in /proc.
    fn has_been_written_by(&self, helper: &str, stage: Stage, lines: &[Line]) -> bool {
        let by = |process: &OsStr| {
            let numbers = lines.iter().flat_map(|line| [line.inside, line.outside, line.count]);
            let mut command = Command::new(helper);
            command.arg(process).args(numbers.map(|number| number.to_string()));
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let folder = self.folder.try_clone();
            match folder.and_then(|folder| command.stdin(folder).status()) {
                Ok(status) => status.success(),
                // There is no such program, or SIGCHLD is ignored, or other code has waited for the program. So look at
                // the map.
                Err(_) => {
                    let mut map = String::new();
                    let read =
                        self.open(stage, libc::O_RDONLY).and_then(|mut file| file.read_to_string(&mut map));
                    read.is_ok() && !map.is_empty()
                }
            }
        };
        by(OsStr::new("fd:0")) || by(self.name.as_os_str())
    }

    fn write(&self, stage: Stage, text: &[u8]) -> Result<(), Error> {
        let written = self.open(stage, libc::O_WRONLY).and_then(|mut file| file.write_all(text));
        written.map_err(|error| Error::from_io(stage, &error).with_hint(why(&error)))
    }

    /// Opens the file that a stage is named after, with openat(2).
    fn open(&self, stage: Stage, how: c_int) -> io::Result<File> {
        let name = match stage {
            Stage::Setgroups => c"setgroups",
            Stage::UidMap => c"uid_map",
            _ => c"gid_map",
        };
        // SAFETY: `name` is a C string, and the call returns a new descriptor that nobody else owns.
        unsafe {
            match libc::openat(self.folder.as_raw_fd(), name.as_ptr(), how | libc::O_CLOEXEC) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok(File::from_raw_fd(fd)),
            }
        }
    }
}

/// Returns the text of a map. The kernel wants all lines in one write(2).
fn text(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("{} {} {}\n", line.inside, line.outside, line.count)).collect()
}

const NO_PROC: &str = "maps of ids need a /proc that is mounted and is not that of an inner pid namespace";

fn no_proc(error: &io::Error) -> Error {
    let missing = matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR));
    Error::from_io(Stage::UidMap, error).with_hint(missing.then_some(NO_PROC))
}

/// Returns the probable cause of an errno.
pub(crate) fn why(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if !is_dumpable() => Some(
            "the program is not dumpable, so its files in /proc belong to root: it has changed its ids, its file has \
                 capabilities, or it has called prctl(PR_SET_DUMPABLE)",
        ),
        Some(libc::EPERM | libc::EACCES) => Some(
            "mapping ids other than the caller's own takes CAP_SETUID or CAP_SETGID there, or newuidmap \
                 and newgidmap with lines in /etc/subuid and /etc/subgid; uid 0 also takes CAP_SETFCAP; all ids must exist \
                 in the caller's user namespace; AppArmor (kernel.apparmor_restrict_unprivileged_userns) refuses all maps",
        ),
        Some(libc::ENOENT | libc::ENOTDIR) => Some(NO_PROC),
        Some(libc::EINVAL) => {
            Some("the lines overlap, are too many, have a count of 0, or go beyond the last id")
        }
        _ => None,
    }
}

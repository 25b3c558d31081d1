//! User and group ids of a new user namespace: who writes which map. See user_namespaces(7).
//!
//! The child may map one id, that of its creator; it writes that itself. Everything else takes
//! privileges in the parent's namespace, so a thread of the parent writes it, while the child waits;
//! without privileges it asks newuidmap(1) and newgidmap(1), which go by /etc/subuid and /etc/subgid.

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

/// One line of a map: `count` ids from `inside` on are those from `outside` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Line {
    inside: u32,
    outside: u32,
    count: u32,
}

/// The two maps; empty ones are not written.
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

    /// What they lack.
    pub(crate) fn conflict(&self, flags: CloneFlags) -> Option<&'static str> {
        let lacks = !self.is_empty() && !flags.contains(CloneFlags::NEWUSER);
        lacks.then_some("a uid_map or gid_map needs NEWUSER")
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.uids.is_empty() && self.gids.is_empty()
    }

    /// Whether the child may write them.
    pub(crate) fn are_the_callers(&self) -> bool {
        let one = |lines: &[Line], id| {
            lines.iter().all(|line| (line.outside, line.count) == (id, 1)) && lines.len() <= 1
        };
        if self.is_empty() {
            return true;
        }
        // SAFETY: no arguments to get wrong.
        let (uid, gid) = unsafe { (libc::geteuid(), libc::getegid()) };
        one(&self.uids, uid) && one(&self.gids, gid)
    }

    /// Writes those of the calling child.
    pub(crate) fn write_own(&self) -> Result<(), Error> {
        if self.is_empty() {
            return Ok(());
        }
        let own = Process::own()?;
        self.texts().try_for_each(|(stage, _, text)| own.write(stage, text.as_bytes()))
    }

    /// What the child writes to which of its files in /proc.
    pub(crate) fn texts(&self) -> impl Iterator<Item = (Stage, &'static CStr, String)> {
        // The kernel's condition for a gid_map without privileges.
        let deny = if self.gids.is_empty() { "" } else { "deny" };
        [
            (Stage::Setgroups, c"/proc/self/setgroups", deny.to_owned()),
            (Stage::UidMap, c"/proc/self/uid_map", text(&self.uids)),
            (Stage::GidMap, c"/proc/self/gid_map", text(&self.gids)),
        ]
        .into_iter()
        .filter(|(.., text)| !text.is_empty())
    }

    /// Writes those of a child of this process.
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

/// A process, held by its open folder in /proc. Its own pid could name another process there, where /proc is another pid
/// namespace's.
#[derive(Debug)]
pub(crate) struct Process {
    folder: File,
    /// What /proc calls it: a number.
    name: PathBuf,
}

impl Process {
    /// The calling one's.
    pub(crate) fn own() -> Result<Self, Error> {
        let opened = File::open("/proc/self").and_then(|folder| Ok((folder, fs::read_link("/proc/self")?)));
        match opened {
            Ok((folder, name)) => Ok(Self { folder, name }),
            Err(error) => Err(no_proc(&error)),
        }
    }

    /// That of a pidfd, whose process is not reaped meanwhile.
    pub(crate) fn of(pidfd: BorrowedFd<'_>) -> Result<Self, Error> {
        let number = pidfd.as_raw_fd();
        // As this /proc calls it; 0, if it is not the /proc of a pid namespace in which the process is.
        let name = fs::read_to_string(format!("/proc/self/fdinfo/{number}")).map(|text| {
            let pid = text.lines().find_map(|line| line.strip_prefix("Pid:")).map(str::trim);
            pid.filter(|pid| *pid != "0").unwrap_or("none").to_owned()
        });
        let opened = name.and_then(|name| Ok((File::open(format!("/proc/{name}"))?, name)));
        let (folder, name) = opened.map_err(|error| no_proc(&error))?;
        // It has not been reaped, so the number was its own.
        let null = ptr::null::<libc::siginfo_t>();
        // SAFETY: no pointers but a null one.
        match unsafe { libc::syscall(libc::SYS_pidfd_send_signal, number, 0, null, 0) } {
            0 => Ok(Self { folder, name: name.into() }),
            _ => Err(Error::from_io(Stage::UidMap, &io::Error::last_os_error())),
        }
    }

    fn write_map(&self, stage: Stage, lines: &[Line]) -> Result<(), Error> {
        let text = text(lines);
        if text.is_empty() { Ok(()) } else { self.write(stage, text.as_bytes()) }
    }

    /// Whether there is such a program, and it has written the map. By an open folder it cannot take another process for this
    /// one; before shadow 4.14 it only takes what /proc calls the process.
    fn has_been_written_by(&self, helper: &str, stage: Stage, lines: &[Line]) -> bool {
        let by = |process: &OsStr| {
            let numbers = lines.iter().flat_map(|line| [line.inside, line.outside, line.count]);
            let mut command = Command::new(helper);
            command.arg(process).args(numbers.map(|number| number.to_string()));
            command.stdout(Stdio::null()).stderr(Stdio::null());
            let folder = self.folder.try_clone();
            match folder.and_then(|folder| command.stdin(folder).status()) {
                Ok(status) => status.success(),
                // SIGCHLD is ignored, or somebody else has waited for it. Or there is no such program.
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

    /// openat(2) of the file that a stage is named after.
    fn open(&self, stage: Stage, how: c_int) -> io::Result<File> {
        let name = match stage {
            Stage::Setgroups => c"setgroups",
            Stage::UidMap => c"uid_map",
            _ => c"gid_map",
        };
        // SAFETY: a descriptor and a name; what is returned is a new descriptor.
        unsafe {
            match libc::openat(self.folder.as_raw_fd(), name.as_ptr(), how | libc::O_CLOEXEC) {
                -1 => Err(io::Error::last_os_error()),
                fd => Ok(File::from_raw_fd(fd)),
            }
        }
    }
}

/// The lines of a map, which the kernel wants in one write(2).
fn text(lines: &[Line]) -> String {
    lines.iter().map(|line| format!("{} {} {}\n", line.inside, line.outside, line.count)).collect()
}

const NO_PROC: &str = "maps of ids are written in /proc: is it mounted, and not of an inner pid namespace?";

fn no_proc(error: &io::Error) -> Error {
    let missing = matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR));
    Error::from_io(Stage::UidMap, error).with_hint(missing.then_some(NO_PROC))
}

/// What the kernel's errno hides.
pub(crate) fn why(error: &io::Error) -> Option<&'static str> {
    match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) if !is_dumpable() => Some(
            "the program's files in /proc are root's, because it is not dumpable: it has changed its ids, is a file \
                 with capabilities, or has asked for it by prctl(PR_SET_DUMPABLE)",
        ),
        Some(libc::EPERM | libc::EACCES) => Some(
            "mapping ids other than the caller's own takes CAP_SETUID or CAP_SETGID there, or newuidmap \
                 and newgidmap with lines in /etc/subuid and /etc/subgid; uid 0 takes CAP_SETFCAP, too; all ids must exist \
                 in the caller's user namespace; AppArmor (kernel.apparmor_restrict_unprivileged_userns) refuses all maps",
        ),
        Some(libc::ENOENT | libc::ENOTDIR) => Some(NO_PROC),
        Some(libc::EINVAL) => {
            Some("the lines overlap, are too many, have a count of 0, or go beyond the last id")
        }
        _ => None,
    }
}

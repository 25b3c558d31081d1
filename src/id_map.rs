//! User and group ids of a new user namespace: who writes which map. See user_namespaces(7).
//!
//! The child may map one id, that of its creator; it writes that itself. Everything else takes
//! privileges in the parent's namespace, so a thread of the parent writes it, while the child waits;
//! without privileges it asks newuidmap(1) and newgidmap(1), which go by /etc/subuid and /etc/subgid.

use crate::{Error, Stage};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

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

    pub(crate) fn is_empty(&self) -> bool {
        self.uids.is_empty() && self.gids.is_empty()
    }

    /// Whether the child may write them.
    #[allow(unsafe_code)]
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
        if !self.gids.is_empty() {
            // The kernel's condition for a gid_map without privileges.
            write("self", Stage::Setgroups, b"deny")?;
        }
        write_map("self", Stage::UidMap, &self.uids)?;
        write_map("self", Stage::GidMap, &self.gids)
    }

    /// Writes those of a child of this process.
    fn write_of(&self, pid: u32) -> Result<(), Error> {
        let process = pid.to_string();
        for (stage, lines, helper) in
            [(Stage::UidMap, &self.uids, "newuidmap"), (Stage::GidMap, &self.gids, "newgidmap")]
        {
            let written = write_map(&process, stage, lines);
            if written.is_err_and(|error| {
                let refused = matches!(error.raw_os_error(), libc::EPERM | libc::EACCES);
                !refused || !has_written(helper, &process, lines)
            }) {
                return written;
            }
        }
        Ok(())
    }
}

fn write_map(process: &str, stage: Stage, lines: &[Line]) -> Result<(), Error> {
    if lines.is_empty() {
        return Ok(());
    }
    // One write(2) for all, as the kernel wants it. It takes at most 340 lines.
    let mut text = io::Cursor::new([0_u8; 4096]);
    for line in lines {
        _ = writeln!(text, "{} {} {}", line.inside, line.outside, line.count);
    }
    let length = text.position() as usize;
    write(process, stage, &text.get_ref()[..length])
}

/// Whether there is such a program, and it has written the map.
fn has_written(helper: &str, process: &str, lines: &[Line]) -> bool {
    let numbers = lines.iter().flat_map(|line| [line.inside, line.outside, line.count]);
    let mut command = Command::new(helper);
    command.arg(process).args(numbers.map(|number| number.to_string()));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Writes a file of /proc/PROCESS, by the name of the stage.
fn write(process: &str, stage: Stage, text: &[u8]) -> Result<(), Error> {
    let mut path = io::Cursor::new([0_u8; 64]);
    _ = write!(path, "/proc/{process}/{stage}");
    let length = path.position() as usize;
    let path = String::from_utf8_lossy(&path.get_ref()[..length]);
    let file = OpenOptions::new().write(true).open(&*path);
    file.and_then(|mut file| file.write_all(text)).map_err(|error| {
        Error::from_io(stage, &error).with_hint(match error.raw_os_error() {
            Some(libc::EPERM | libc::EACCES) => Some(
                "mapping ids other than the caller's own takes CAP_SETUID or CAP_SETGID there, or newuidmap \
                 and newgidmap with lines in /etc/subuid and /etc/subgid; AppArmor (kernel.apparmor_restrict_unprivileged_userns) \
                 refuses all maps",
            ),
            Some(libc::EINVAL) => {
                Some("the lines overlap, are too many, or map ids that the caller does not have")
            }
            _ => None,
        })
    })
}

/// Where a child waits until its parent has written its maps.
#[derive(Debug)]
pub(crate) struct Gate {
    maps: IdMaps,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
enum State {
    NoChild,
    Waiting(u32),
    Written(Result<(), Error>),
    /// There is no child, or no longer.
    Over,
}

impl Gate {
    pub(crate) fn new(maps: IdMaps) -> Self {
        Self { maps, state: Mutex::new(State::NoChild), changed: Condvar::new() }
    }

    /// In the child.
    pub(crate) fn wait(&self) -> Result<(), Error> {
        self.set(State::Waiting(std::process::id()));
        match *self.when(|state| !matches!(state, State::Waiting(_))) {
            State::Written(result) => result,
            State::NoChild | State::Waiting(_) | State::Over => unreachable!("only Written follows Waiting"),
        }
    }

    /// In a thread of the parent.
    pub(crate) fn serve(&self) {
        let pid = match *self.when(|state| !matches!(state, State::NoChild)) {
            State::Waiting(pid) => pid,
            State::NoChild | State::Written(_) | State::Over => return,
        };
        self.set(State::Written(self.maps.write_of(pid)));
    }

    /// In the thread that started the child, when it is gone.
    pub(crate) fn close(&self) {
        self.set(State::Over);
    }

    fn set(&self, state: State) {
        *self.state.lock().unwrap_or_else(PoisonError::into_inner) = state;
        self.changed.notify_all();
    }

    fn when(&self, wanted: impl Fn(&State) -> bool) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        while !wanted(&state) {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state
    }
}

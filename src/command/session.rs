//! The session of a program, its process group, and its terminal.

#![allow(unsafe_code)]

use super::child::Step;
use super::plan::{NO_NAME, Plan};
use super::request::Request;
use crate::Stage;
use crate::error::argument;
use crate::start::kernel_signals::Mask;
use std::ffi::{c_int, c_long};
use std::os::fd::{AsRawFd, BorrowedFd};

impl Plan {
    pub(super) fn leave_the_group(&mut self, request: &Request) {
        // Only the leader of a session can get a controlling terminal.
        let leads = request.setsid || request.terminal.is_some();
        if leads {
            self.call(Stage::Session, NO_NAME, libc::SYS_setsid, [0; 4]);
        }
        // The leader of a new session already leads a process group, and may not leave it.
        if let Some(group) = request.process_group.filter(|group| !(leads && *group == 0)) {
            let arguments = [0, c_long::from(group), 0, 0];
            self.call(Stage::ProcessGroup, argument(group), libc::SYS_setpgid, arguments);
        }
        if let Some(terminal) = &request.terminal {
            let fd = terminal.as_raw_fd();
            let arguments = [c_long::from(fd), libc::TIOCSCTTY as c_long, 0, 0];
            self.call(
                Stage::ControllingTerminal,
                argument(format_args!("fd {fd}")),
                libc::SYS_ioctl,
                arguments,
            );
        }
        // All signals are blocked, so a SIGTTOU does not stop the child.
        if let Some(terminal) = &request.foreground {
            let fd = terminal.as_raw_fd();
            self.push(Stage::Foreground, argument(format_args!("fd {fd}")), Step::Foreground(fd));
        }
    }
}

/// The foreground process group of a terminal before a start.
pub(super) struct Foreground<'a> {
    terminal: BorrowedFd<'a>,
    group: libc::pid_t,
}

impl<'a> Foreground<'a> {
    pub(super) fn of(terminal: BorrowedFd<'a>) -> Self {
        // SAFETY: the call takes no pointers.
        Self { terminal, group: unsafe { libc::tcgetpgrp(terminal.as_raw_fd()) } }
    }

    /// Restores the foreground group after a start that has failed. The child's group may be the foreground group, but
    /// it is gone.
    pub(super) fn restore(&self) {
        let fd = self.terminal.as_raw_fd();
        // SAFETY: the call takes no pointers.
        let now = unsafe { libc::tcgetpgrp(fd) };
        if self.group <= 0 || now == self.group {
            return;
        }
        // Otherwise a SIGTTOU would stop this program, because it is in the background now.
        let Ok(mask) = Mask::block_all() else { return };
        // SAFETY: the call takes no pointers.
        unsafe { libc::tcsetpgrp(fd, self.group) };
        mask.restore();
    }
}

/// Explains an errno of a request for a terminal.
pub(super) fn why(stage: Stage, errno: c_int) -> Option<&'static str> {
    Some(match (stage, errno) {
        (_, libc::ENOTTY) => "it is no terminal, or not the controlling terminal of the program's session",
        (Stage::ControllingTerminal, libc::EPERM) => "it is the controlling terminal of another session",
        (Stage::Foreground, libc::ESRCH) => {
            "the program has its group in another pid namespace: ask for process_group(0)"
        }
        (_, libc::EIO) => "the other end of the terminal is closed",
        _ => return None,
    })
}

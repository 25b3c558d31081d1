//! The descriptors of a program: which of the caller's become which numbers.

#![allow(unsafe_code)]

use super::child::Step;
use crate::{Error, Stage};
use std::ffi::{OsString, c_int, c_long};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// One descriptor of the caller's, and its number in the program.
#[derive(Clone, Copy, Debug)]
pub(super) struct Move {
    pub(super) source: RawFd,
    pub(super) target: RawFd,
}

/// Duplicates, above all targets, of sources whose number is another one's target. So the moves can be made in any order.
pub(super) fn free_the_targets(moves: &mut [Move]) -> Result<Vec<OwnedFd>, Error> {
    let highest = moves.iter().map(|it| it.target).max().unwrap_or(-1);
    let mut duplicates = Vec::new();
    for i in 0..moves.len() {
        let Move { source, target } = moves[i];
        if moves.iter().any(|other| other.target == source && other.target != target) {
            // SAFETY: a descriptor, of which the result is a new one.
            let fd = unsafe { libc::fcntl(source, libc::F_DUPFD_CLOEXEC, highest.saturating_add(1)) };
            if fd == -1 {
                return Err(refused(&io::Error::last_os_error(), moves[i]));
            }
            // SAFETY: as above.
            duplicates.push(unsafe { OwnedFd::from_raw_fd(fd) });
            moves[i].source = fd;
        }
    }
    Ok(duplicates)
}

/// The steps that make the moves, each with the words for its error.
pub(super) fn steps(moves: &[Move]) -> impl Iterator<Item = (Step, OsString)> {
    moves.iter().map(|&Move { source, target }| {
        let step = if source == target {
            let arguments = [c_long::from(source), c_long::from(libc::F_SETFD), 0, 0, 0, 0];
            Step::Call { number: libc::SYS_fcntl, arguments, tolerated: 0 }
        } else {
            let arguments = [c_long::from(source), c_long::from(target), 0, 0, 0, 0];
            Step::Call { number: libc::SYS_dup3, arguments, tolerated: 0 }
        };
        (step, words(Move { source, target }))
    })
}

fn words(Move { source, target }: Move) -> OsString {
    format!("{source} at {target}").into()
}

fn refused(error: &io::Error, it: Move) -> Error {
    Error::from_io(Stage::Fd, error).at(Some(words(it).into()))
}

/// The ranges of numbers that no program is given, beside these targets.
pub(super) fn ranges_between(moves: &[Move]) -> Vec<(c_long, c_long)> {
    const LAST: c_long = u32::MAX as c_long;
    let mut kept: Vec<RawFd> = moves.iter().map(|it| it.target).collect();
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

/// `pipe2(2)`: the reading end, then the writing end.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds: [c_int; 2] = [-1; 2];
    // SAFETY: a place for the two, which are new and ours.
    unsafe {
        match libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) {
            0 => Ok((OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1]))),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// The soft limit on the numbers of descriptors.
pub(super) fn limit() -> libc::rlim_t {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a place for the limits.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur
}

/// The number of a descriptor that lives as long as what it is borrowed from.
pub(super) fn number(fd: BorrowedFd<'_>) -> RawFd {
    fd.as_raw_fd()
}

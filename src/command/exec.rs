//! `Command::exec` performs the same steps in this process.

#![allow(unsafe_code)]

use super::child::perform;
use super::closures::PANICKED;
use super::fds::Move;
use super::plan::{Plan, Way};
use super::request::Request;
use super::stdio::Stdio;
use crate::start::alone::has_own_memory;
use crate::{Error, Stage};
use std::convert::Infallible;
use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::panic::resume_unwind;

impl Request {
    /// Performs the steps in the calling thread. Returns only if one of them fails.
    pub(super) fn execute_here(&mut self) -> Error {
        let Err(error) = self.execute();
        error
    }

    fn execute(&mut self) -> Result<Infallible, Error> {
        let inherit = [const { &Stdio::inherit() }; 3];
        let plan = Plan::new(self, inherit, Way::InPlace)?;
        let places = Places::take(&plan)?;
        let mask = plan.block_signals(self)?;
        let failed = plan.steps.iter().enumerate().find_map(|(done, step)| {
            // SAFETY: the plan has prepared the step, and there is no child that it could disturb.
            let errno = unsafe { perform(step) };
            (errno != 0).then_some((done, errno))
        });
        drop(places);
        if self.capabilities.is_some() {
            // Otherwise a later setuid(2) would not drop capabilities.
            // SAFETY: the call takes no pointers.
            unsafe { libc::prctl(libc::PR_SET_KEEPCAPS, 0) };
        }
        mask.restore();
        match failed.expect("the last step executes the program, or fails") {
            (_, PANICKED) => resume_unwind(self.closures.panic().expect("the panic of a closure")),
            (done, errno) => Err(self.with_reason(plan.error(self, done, errno))),
        }
    }
}

/// Reserves the numbers that the program's descriptors will get. When it is dropped, each number gets back what it had.
struct Places(Vec<(RawFd, Option<Saved>)>);

struct Saved {
    fd: OwnedFd,
    /// FD_CLOEXEC, or 0.
    flags: c_int,
}

impl Places {
    /// Reserves each number. A number that is in use may belong to another thread, so it is taken only if it belongs to
    /// the `Command`, if it is 0 to 2 (as in std), or if nobody else uses this memory.
    fn take(plan: &Plan) -> Result<Self, Error> {
        let mut places = Self(Vec::with_capacity(plan.moves.len()));
        // Free numbers come first. Otherwise a saved duplicate could get one of them.
        let used: Vec<&Move> = plan.moves.iter().filter(|it| !places.claim(it)).collect();
        for it in used {
            let target = it.target;
            if target > libc::STDERR_FILENO && !plan.own.contains(&target) && !has_own_memory() {
                let hint = "this program has it open, and another of its threads may use it";
                return Err(Error::new(Stage::Fd, libc::EBUSY, hint).at(it.argument()));
            }
            let save = || {
                // SAFETY: the calls take no pointers, and F_DUPFD_CLOEXEC returns a new descriptor.
                unsafe {
                    let flags = succeed(libc::fcntl(target, libc::F_GETFD))?;
                    let fd = succeed(libc::fcntl(target, libc::F_DUPFD_CLOEXEC, libc::STDERR_FILENO + 1))?;
                    Ok(Saved { fd: OwnedFd::from_raw_fd(fd), flags })
                }
            };
            let saved =
                save().map_err(|error: io::Error| Error::from_io(Stage::Fd, &error).at(it.argument()))?;
            places.0.push((target, Some(saved)));
        }
        Ok(places)
    }

    /// Takes a number if it is free, and returns whether it was. F_DUPFD takes the lowest free number from the given
    /// one on.
    fn claim(&mut self, it: &Move) -> bool {
        // SAFETY: the call takes no pointers, and its result is a new descriptor.
        let fd = unsafe { libc::fcntl(it.source, libc::F_DUPFD_CLOEXEC, it.target) };
        if fd == it.target {
            self.0.push((fd, None));
            return true;
        }
        if fd >= 0 {
            // SAFETY: this is the new descriptor, and nobody else has it.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        false
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        for (target, saved) in &self.0 {
            // SAFETY: the number was free before `exec`, or it gets back the descriptor that it had.
            unsafe {
                match saved {
                    Some(Saved { fd, flags }) => {
                        let cloexec = if flags & libc::FD_CLOEXEC == 0 { 0 } else { libc::O_CLOEXEC };
                        libc::dup3(fd.as_raw_fd(), *target, cloexec);
                    }
                    None => _ = libc::close(*target),
                }
            }
        }
    }
}

fn succeed(result: c_int) -> io::Result<c_int> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

//! `exec`: the same steps in this process.

#![allow(unsafe_code)]

use super::child::take;
use super::closures::PANICKED;
use super::fds::Move;
use super::launch::Mask;
use super::plan::{Caller, Plan};
use super::request::Request;
use super::stdio::Stdio;
use crate::alone::is_alone;
use crate::{Error, Stage};
use std::convert::Infallible;
use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::panic::resume_unwind;

impl Request {
    /// In the calling thread. It returns only if a step fails.
    pub(super) fn execute_here(&mut self) -> Error {
        let Err(error) = self.execute();
        error
    }

    fn execute(&mut self) -> Result<Infallible, Error> {
        // SAFETY: no pointers.
        let parent = || unsafe { libc::getppid() };
        let inherit = [const { &Stdio::inherit() }; 3];
        let plan = Plan::new(self, inherit, Caller { parent, resets: false, is_exec: true })?;
        let places = Places::take(&plan.moves, |fd| self.fds.iter().any(|(_, own)| own.as_raw_fd() == fd))?;
        let mask = Mask::block_all()?;
        if self.blocked.is_none() {
            plan.mask.set(mask.0);
        }
        let failed = plan.steps.iter().enumerate().find_map(|(done, step)| {
            // SAFETY: what the plan has prepared; there is no child to disturb.
            let errno = unsafe { take(step) };
            (errno != 0).then_some((done, errno))
        });
        drop(places);
        mask.restore();
        match failed.expect("the last step executes the program, or fails") {
            (_, PANICKED) => resume_unwind(self.closures.panic().expect("the panic of a closure")),
            (done, errno) => Err(self.said(plan.error(self, done, errno))),
        }
    }
}

/// The numbers that the program's descriptors get, and what this program has there, which it gets back.
struct Places(Vec<(RawFd, Option<Saved>)>);

struct Saved {
    fd: OwnedFd,
    /// FD_CLOEXEC, or 0.
    flags: c_int,
}

impl Places {
    /// A number that is free becomes ours. One that is in use may be another thread's: then it is not touched, unless it is
    /// 0 to 2, as with std's `exec`.
    fn take(moves: &[Move], is_own: impl Fn(RawFd) -> bool) -> Result<Self, Error> {
        let mut places = Self(Vec::with_capacity(moves.len()));
        // first those that are free, or what is saved of the others may come there
        let used: Vec<&Move> = moves.iter().filter(|it| !places.claim(it)).collect();
        for it in used {
            let target = it.target;
            if target > libc::STDERR_FILENO && !is_own(target) && !is_alone() {
                let hint = "this program has it open, and other threads, which may use it";
                return Err(Error::new(Stage::Fd, libc::EBUSY, hint).at(it.words()));
            }
            let save = || {
                // SAFETY: no pointers; what F_DUPFD returns is a new descriptor.
                unsafe {
                    let flags = succeed(libc::fcntl(target, libc::F_GETFD))?;
                    let fd = succeed(libc::fcntl(target, libc::F_DUPFD_CLOEXEC, libc::STDERR_FILENO + 1))?;
                    Ok(Saved { fd: OwnedFd::from_raw_fd(fd), flags })
                }
            };
            let saved =
                save().map_err(|error: io::Error| Error::from_io(Stage::Fd, &error).at(it.words()))?;
            places.0.push((target, Some(saved)));
        }
        Ok(places)
    }

    /// Whether the number was free. F_DUPFD takes the lowest one from there on that is.
    fn claim(&mut self, it: &Move) -> bool {
        // SAFETY: no pointers; the result is a new descriptor.
        let fd = unsafe { libc::fcntl(it.source, libc::F_DUPFD_CLOEXEC, it.target) };
        if fd == it.target {
            self.0.push((fd, None));
            return true;
        }
        if fd >= 0 {
            // SAFETY: the new one.
            drop(unsafe { OwnedFd::from_raw_fd(fd) });
        }
        false
    }
}

impl Drop for Places {
    fn drop(&mut self) {
        for (target, saved) in &self.0 {
            // SAFETY: a number that was free, or what was there.
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

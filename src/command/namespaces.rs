//! The namespaces of a program: those it is born in, and those of others that it joins.

#![allow(unsafe_code)]

use super::child::{AWAITS_MAPS, HAS_MAPS, HAS_NO_MAPS, Step, address};
use super::plan::{NO_NAME, Plan, Way};
use super::request::Request;
use crate::error::argument;
use crate::id_map::{IdMaps, Process};
use crate::{Error, SafeFlags, Stage};
use std::ffi::{CStr, c_int, c_long};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

/// A namespace that is joined.
pub(super) struct Joined {
    fd: c_int,
    /// Its `CLONE_NEW*` flag.
    kind: c_int,
}

/// The user namespace gives the right to join the others. The mount namespace comes last, as /proc may be another one there.
const ORDER: [(c_int, &str); 8] = [
    (libc::CLONE_NEWUSER, "user"),
    (libc::CLONE_NEWPID, "pid"),
    (libc::CLONE_NEWNET, "net"),
    (libc::CLONE_NEWUTS, "uts"),
    (libc::CLONE_NEWIPC, "ipc"),
    (libc::CLONE_NEWCGROUP, "cgroup"),
    (libc::CLONE_NEWTIME, "time"),
    (libc::CLONE_NEWNS, "mnt"),
];

impl Joined {
    /// Whether only a child of who joins it is wholly in it, or has the rights there at its birth.
    pub(super) fn is_before_birth(&self) -> bool {
        matches!(self.kind, libc::CLONE_NEWUSER | libc::CLONE_NEWPID)
    }
}

impl Request {
    /// Those to join, in the order in which it is done.
    pub(super) fn joined(&self) -> Result<Vec<Joined>, Error> {
        let mut all = Vec::with_capacity(self.namespaces.len());
        for namespace in &self.namespaces {
            let fd = namespace.as_raw_fd();
            // SAFETY: no pointers.
            let kind = unsafe { libc::ioctl(fd, GET_TYPE as _) };
            let name = argument(format_args!("fd {fd}"));
            match kind {
                -1 => {
                    let error = Error::from_io(Stage::JoinNamespace, &io::Error::last_os_error()).at(name);
                    return Err(error.with_hint(Some("it is no descriptor of a namespace (Linux 4.11)")));
                }
                libc::CLONE_NEWTIME => {
                    let hint = "a time namespace can only be joined by who shares no memory: use nsenter(1)";
                    return Err(Error::new(Stage::JoinNamespace, libc::EUSERS, hint).at(argument("time")));
                }
                _ => all.push(Joined { fd, kind }),
            }
        }
        all.sort_by_key(|joined| ORDER.iter().position(|(kind, _)| *kind == joined.kind));
        Ok(all)
    }
}

impl Plan {
    /// Joins the namespaces that only a child of an intermediate child is born in.
    pub(super) fn join_before_birth(&mut self, joined: &[Joined], way: Way) -> Result<(), Error> {
        if way == Way::InPlace && joined.iter().any(|it| it.kind == libc::CLONE_NEWPID) {
            let hint = "only a child is in the pid namespace that is joined, and exec makes none";
            return Err(Error::new(Stage::JoinNamespace, libc::EINVAL, hint).at(argument("pid")));
        }
        joined.iter().filter(|it| it.is_before_birth()).for_each(|it| self.join(it));
        if way != Way::InPlace {
            self.first = self.steps.len();
        }
        Ok(())
    }

    /// The steps of the program's child, in the order in which they give the rights for what follows.
    pub(super) fn enter_namespaces(&mut self, request: &Request, joined: &[Joined]) -> Result<(), Error> {
        self.map_ids(request);
        joined.iter().filter(|it| !it.is_before_birth()).for_each(|it| self.join(it));
        if let Some(name) = &request.hostname {
            let has_own = request.flags.contains(SafeFlags::NEWUTS);
            if !has_own && !joined.iter().any(|it| it.kind == libc::CLONE_NEWUTS) {
                let hint = "it would change the caller's host name: the flag NEWUTS is missing";
                return Err(Error::new(Stage::Hostname, libc::EINVAL, hint).at(Some(name.as_os_str().into())));
            }
            let place = self.keep(name.as_bytes().to_vec());
            let arguments = [place, name.len() as c_long, 0, 0];
            self.call(Stage::Hostname, Some(name.as_os_str().into()), libc::SYS_sethostname, arguments);
        }
        self.mount(request)
    }

    fn join(&mut self, namespace: &Joined) {
        let name = ORDER.iter().find(|(kind, _)| *kind == namespace.kind).map(|(_, name)| name);
        let arguments = [namespace.fd.into(), namespace.kind.into(), 0, 0];
        self.call(Stage::JoinNamespace, name.and_then(argument), libc::SYS_setns, arguments);
    }

    fn map_ids(&mut self, request: &Request) {
        if request.maps.are_the_callers() {
            for (stage, path, text) in request.maps.texts() {
                self.write(stage, path, text);
            }
            return;
        }
        // Whoever waits for a parent that has died would wait for ever.
        let signal = |signal: c_int| [c_long::from(libc::PR_SET_PDEATHSIG), signal.into(), 0, 0];
        self.call(Stage::ParentDeath, NO_NAME, libc::SYS_prctl, signal(libc::SIGKILL));
        self.look_for_parent(std::process::id(), self.parent.as_ref().map(AsRawFd::as_raw_fd));
        self.push(Stage::UidMap, NO_NAME, Step::AwaitMaps(Rc::as_ptr(&self.word)));
        self.call(Stage::ParentDeath, NO_NAME, libc::SYS_prctl, signal(0));
    }

    /// Writes a text to a file that is there.
    pub(super) fn write(&mut self, stage: Stage, path: &'static CStr, text: String) {
        let length = text.len() as c_long;
        let name = argument(text.trim_end());
        let text = self.keep(text.into_bytes());
        self.push(stage, name, Step::Write { path: address(path.as_ptr()), text, length });
    }
}

/// What the errno of setns(2) hides.
pub(super) fn why(errno: c_int) -> Option<&'static str> {
    Some(match errno {
        libc::EPERM => {
            "it takes CAP_SYS_ADMIN in the namespace's user namespace and in one's own (and CAP_SYS_CHROOT for mnt), and a \
             seccomp filter that allows it"
        }
        libc::EINVAL => {
            "it is the user namespace that the caller is in, or a pid namespace that is not below the caller's"
        }
        libc::ENOMEM => "if memory is not short: the first process of the pid namespace has ended",
        _ => return None,
    })
}

/// Writes the maps that a child waits for. The kernel has stored the child's pidfd.
pub(super) fn serve_maps(maps: &IdMaps, word: &AtomicU32, pidfd: &AtomicI32) -> Result<(), Error> {
    // SAFETY: the kernel has opened it for the start that waits for this function.
    let pidfd = unsafe { BorrowedFd::borrow_raw(pidfd.load(Ordering::Acquire)) };
    let written = Process::of(pidfd).and_then(|process| maps.write_of(&process));
    let state = if written.is_ok() { HAS_MAPS } else { HAS_NO_MAPS };
    // If it has been killed meanwhile, the word is 0.
    _ = word.compare_exchange(AWAITS_MAPS, state, Ordering::AcqRel, Ordering::Relaxed);
    wake(word);
    written
}

/// Wakes whoever waits for the word.
pub(super) fn wake(word: &AtomicU32) {
    // SAFETY: a futex word. The kernel wakes it as a shared one, too.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, c_int::MAX) };
}

/// A pidfd of this process, for children who are in another pid namespace.
pub(super) fn own_pidfd() -> Result<OwnedFd, Error> {
    // SAFETY: no pointers; the result is a new descriptor.
    unsafe {
        match libc::syscall(libc::SYS_pidfd_open, libc::getpid(), 0) {
            -1 => {
                let error = Error::from_io(Stage::ParentDeath, &io::Error::last_os_error());
                Err(error
                    .with_hint(Some("in another pid namespace it takes a pidfd of the parent: Linux 5.3")))
            }
            fd => Ok(OwnedFd::from_raw_fd(fd as c_int)),
        }
    }
}

/// Whether the program's child has no pid for its parent.
pub(super) fn hide_parent(request: &Request, joined: &[Joined]) -> bool {
    request.flags.contains(SafeFlags::NEWPID) || joined.iter().any(|it| it.kind == libc::CLONE_NEWPID)
}

/// Whether the parent's ids change in the child's memory.
pub(super) fn change_ids(joined: &[Joined]) -> bool {
    joined.iter().any(|it| it.kind == libc::CLONE_NEWUSER)
}

/// `NS_GET_NSTYPE`: `_IO(0xb7, 3)`.
const GET_TYPE: u32 = if cfg!(any(
    target_arch = "mips",
    target_arch = "mips64",
    target_arch = "mips32r6",
    target_arch = "mips64r6",
    target_arch = "powerpc",
    target_arch = "powerpc64",
    target_arch = "sparc",
    target_arch = "sparc64"
)) {
    0x2000_b703
} else {
    0xb703
};

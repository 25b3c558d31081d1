//! The namespaces of a program: new ones, and existing ones that it joins.

#![allow(unsafe_code)]

use super::child::{AWAITS_MAPS, HAS_MAPS, HAS_NO_MAPS, Step, address};
use super::plan::{NO_NAME, Plan, without_nul};
use super::request::Request;
use crate::error::argument;
use crate::start::arch::mips;
use crate::start::id_map::{IdMaps, Process};
use crate::start::why::NAMESPACES;
use crate::{CloneFlags, Error, SafeFlags, Stage};
use std::ffi::{CStr, c_int, c_long};
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::rc::Rc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};
use std::{fs, io};

/// A namespace to join.
pub(super) struct Joined {
    fd: c_int,
    /// Its `CLONE_NEW*` flag.
    kind: c_int,
    /// Whether the rights to join it come from the user namespace that is joined.
    belongs_to_user: bool,
}

/// The order within a group. The mount namespace comes last, because it may have another /proc.
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

impl Request {
    /// Returns the namespaces to join, in the order of joining. First come those for which the caller has the rights,
    /// then the user namespace, and then those for which the user namespace gives the rights.
    pub(super) fn joined(&self) -> Result<Vec<Joined>, Error> {
        let mut all = Vec::with_capacity(self.namespaces.len());
        for namespace in &self.namespaces {
            let fd = namespace.as_raw_fd();
            let kind = kind(fd).map_err(|error| {
                let error =
                    Error::from_io(Stage::JoinNamespace, &error).at(argument(format_args!("fd {fd}")));
                error.with_hint(Some("it is no descriptor of a namespace (Linux 4.11)"))
            })?;
            match kind {
                libc::CLONE_NEWTIME => {
                    let hint = "a time namespace can only be joined by who shares no memory: use nsenter(1)";
                    return Err(Error::new(Stage::JoinNamespace, libc::EUSERS, hint).at(argument("time")));
                }
                _ => all.push(Joined { fd, kind, belongs_to_user: false }),
            }
        }
        let user = all.iter().find(|it| it.kind == libc::CLONE_NEWUSER).map(|it| it.fd);
        for it in &mut all {
            it.belongs_to_user = user.is_some_and(|user| match owner(it.fd) {
                Ok(owner) => Some(owner) == identity(user),
                // The kernel cannot say it. A container's namespaces usually belong to its user namespace, and the
                // caller's own namespaces do not.
                Err(error) => error.raw_os_error() == Some(libc::ENOTTY) && !is_own(it),
            });
        }
        all.sort_by_key(|it| {
            let place = ORDER.iter().position(|(kind, _)| *kind == it.kind);
            let group = if it.kind == libc::CLONE_NEWUSER { 1 } else { 2 * u8::from(it.belongs_to_user) };
            (group, place)
        });
        if include(&all, libc::CLONE_NEWPID) && self.flags.contains(SafeFlags::NEWPID) {
            let hint = "the kernel makes no pid namespace inside of one that is joined: join it, and start a program that does";
            return Err(Error::new(Stage::JoinNamespace, libc::EINVAL, hint).at(argument("pid")));
        }
        if user.is_some() && !self.maps.is_empty() {
            let hint = "maps would be in ids of the user namespace that is joined: start a program there that makes the other one";
            return Err(Error::new(Stage::JoinNamespace, libc::EINVAL, hint).at(argument("user")));
        }
        Ok(all)
    }

    /// Returns whether an intermediate child joins the namespaces. When a task joins a pid namespace, only its later
    /// children are in it. And new namespaces are to be made inside the joined ones, and with the rights there.
    pub(super) fn joins_before_birth(&self, joined: &[Joined]) -> bool {
        const NEW: CloneFlags = NAMESPACES.union(CloneFlags::NEWUSER);
        let early = include(joined, libc::CLONE_NEWUSER) || include(joined, libc::CLONE_NEWPID);
        early || !joined.is_empty() && CloneFlags::from(self.flags).intersects(NEW)
    }
}

/// Returns the device and the inode that identify a namespace.
#[allow(clippy::unnecessary_cast, reason = "they are narrower on some architectures")]
fn identity(fd: c_int) -> Option<(u64, u64)> {
    let mut stat = MaybeUninit::<libc::stat>::uninit();
    // SAFETY: `stat` has room for the result.
    unsafe {
        match libc::fstat(fd, stat.as_mut_ptr()) {
            0 => {
                let stat = stat.assume_init();
                Some((stat.st_dev as u64, stat.st_ino as u64))
            }
            _ => None,
        }
    }
}

/// Returns the `CLONE_NEW*` flag of a namespace.
fn kind(fd: c_int) -> io::Result<c_int> {
    // SAFETY: the call takes no pointers.
    match unsafe { libc::ioctl(fd, GET_TYPE as _) } {
        -1 => {
            let error = io::Error::last_os_error();
            // A 64-bit kernel that does not answer 32-bit programs (seen on 6.1, and no longer on 6.12) still has links
            // such as `net:[4026531840]`.
            let link = fs::read_link(format!("/proc/self/fd/{fd}")).ok();
            let name = link.as_deref().and_then(|link| link.to_str()?.split_once(":[")).map(|(name, _)| name);
            let known = ORDER.iter().find(|(_, known)| Some(*known) == name);
            known.map(|(kind, _)| *kind).ok_or(error)
        }
        kind => Ok(kind),
    }
}

/// Returns whether the caller is in the namespace.
fn is_own(namespace: &Joined) -> bool {
    let name = ORDER.iter().find(|(kind, _)| *kind == namespace.kind).map_or("", |(_, name)| name);
    let own = fs::metadata(format!("/proc/thread-self/ns/{name}")).ok().map(|own| (own.dev(), own.ino()));
    own.is_some() && own == identity(namespace.fd)
}

/// Returns the user namespace that a namespace belongs to, if the caller may know it.
fn owner(fd: c_int) -> io::Result<(u64, u64)> {
    // SAFETY: the call takes no pointers, and its result is a new descriptor.
    let owner = unsafe {
        match libc::ioctl(fd, GET_USER as _) {
            -1 => return Err(io::Error::last_os_error()),
            fd => OwnedFd::from_raw_fd(fd),
        }
    };
    identity(owner.as_raw_fd()).ok_or_else(io::Error::last_os_error)
}

impl Plan {
    /// Adds the steps of an intermediate child.
    pub(super) fn join_before_birth(&mut self, request: &Request, joined: &[Joined]) {
        // This comes first, because hiding the memory also hides the file in /proc. The intermediate child's own child
        // inherits the score.
        self.adjust_oom_score(request);
        for it in joined {
            // Root of that namespace may trace all processes in it.
            if it.kind == libc::CLONE_NEWUSER {
                self.hide(Stage::JoinNamespace);
            }
            self.join(it);
        }
        self.first = self.steps.len();
    }

    /// Adds the steps for namespaces, in the order in which each gives the rights for the next ones.
    pub(super) fn enter_namespaces(&mut self, request: &Request, joined: &[Joined]) -> Result<(), Error> {
        self.map_ids(request);
        joined.iter().for_each(|it| self.join(it));
        if let Some(name) = &request.hostname {
            if !request.flags.contains(SafeFlags::NEWUTS) {
                let hint = "it would change the host name of others: the flag NEWUTS is missing";
                return Err(Error::new(Stage::Hostname, libc::EINVAL, hint).at(Some(name.as_os_str().into())));
            }
            let place = self.keep(without_nul(Stage::Hostname, name)?.to_vec());
            let arguments = [place, name.len() as c_long, 0, 0];
            self.call(Stage::Hostname, Some(name.as_os_str().into()), libc::SYS_sethostname, arguments);
        }
        self.mount(request)
    }

    fn join(&mut self, namespace: &Joined) {
        let name = ORDER.iter().find(|(kind, _)| *kind == namespace.kind).map(|(_, name)| name);
        let arguments = [c_long::from(namespace.fd), c_long::from(namespace.kind), 0, 0];
        self.call(Stage::JoinNamespace, name.and_then(argument), libc::SYS_setns, arguments);
    }

    fn map_ids(&mut self, request: &Request) {
        if !self.awaits_maps {
            for (stage, path, text) in request.maps.texts() {
                self.write(stage, path, text);
            }
            return;
        }
        // If the parent died, the child would wait for its maps for ever. The signal at the parent's death ends it.
        let signal = |signal: c_int| [c_long::from(libc::PR_SET_PDEATHSIG), c_long::from(signal), 0, 0];
        self.call(Stage::ParentDeath, NO_NAME, libc::SYS_prctl, signal(libc::SIGKILL));
        self.look_for_parent(std::process::id(), self.parent.as_ref().map(AsRawFd::as_raw_fd));
        self.push(Stage::UidMap, NO_NAME, Step::AwaitMaps(Rc::as_ptr(&self.word)));
        self.call(Stage::ParentDeath, NO_NAME, libc::SYS_prctl, signal(0));
    }

    /// Adds a step that writes a text to an existing file.
    pub(super) fn write(&mut self, stage: Stage, path: &'static CStr, text: String) {
        let length = text.len() as c_long;
        let name = argument(text.trim_end());
        let text = self.keep(text.into_bytes());
        self.push(stage, name, Step::Write { path: address(path.as_ptr()), text, length });
    }
}

/// Explains an errno of setns(2).
pub(super) fn why(errno: c_int) -> Option<&'static str> {
    Some(match errno {
        libc::EPERM => {
            "it takes CAP_SYS_ADMIN in the namespace's user namespace and in one's own (and CAP_SYS_CHROOT for mnt), and a \
             seccomp filter that allows it"
        }
        libc::EINVAL => {
            "it is the user namespace that the caller is in, a pid namespace that is not below the caller's, or, for exec, the \
             program has several threads"
        }
        libc::ENOMEM => "memory is short, or the first process of the pid namespace has ended",
        _ => return None,
    })
}

/// Writes the maps that a child waits for. The kernel has stored the child's pidfd.
pub(super) fn serve_maps(maps: &IdMaps, word: &AtomicU32, pidfd: &AtomicI32) -> Result<(), Error> {
    // SAFETY: the kernel has opened this pidfd for the start that waits for this function.
    let pidfd = unsafe { BorrowedFd::borrow_raw(pidfd.load(Ordering::Acquire)) };
    let written = Process::of(pidfd).and_then(|process| maps.write_of(&process));
    let state = if written.is_ok() { HAS_MAPS } else { HAS_NO_MAPS };
    // If the child has been killed meanwhile, the word is 0.
    _ = word.compare_exchange(AWAITS_MAPS, state, Ordering::AcqRel, Ordering::Relaxed);
    wake(word);
    written
}

/// Wakes whoever waits for the word.
pub(super) fn wake(word: &AtomicU32) {
    // This is not a private wake, because the kernel's own wake is not private either.
    // SAFETY: this is a futex word.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, c_int::MAX) };
}

/// Opens a pidfd of this process, for children in another pid namespace.
pub(super) fn own_pidfd() -> Result<OwnedFd, Error> {
    // SAFETY: the call takes no pointers, and its result is a new descriptor.
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

/// Returns whether the parent has no pid in the pid namespace of the program's child.
pub(super) fn hide_parent(request: &Request, joined: &[Joined]) -> bool {
    request.flags.contains(SafeFlags::NEWPID) || include(joined, libc::CLONE_NEWPID)
}

/// Returns whether a namespace of this kind is joined.
pub(super) fn include(joined: &[Joined], kind: c_int) -> bool {
    joined.iter().any(|it| it.kind == kind)
}

/// `NS_GET_NSTYPE`, `_IO(0xb7, 3)`, and `NS_GET_USERNS`.
const GET_TYPE: u32 = NONE | 0xb703;
const GET_USER: u32 = NONE | 0xb701;

/// `_IOC_NONE`.
const NONE: u32 = if mips()
    || cfg!(any(
        target_arch = "powerpc",
        target_arch = "powerpc64",
        target_arch = "sparc",
        target_arch = "sparc64"
    )) {
    1 << 29
} else {
    0
};

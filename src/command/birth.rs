//! Requests that the kernel fulfils at the child's birth. It fulfils all of them, or it makes no child.

use super::plan::Plan;
use super::request::Request;
use crate::raw::CloneArgs;
use crate::start::call_for;
use crate::{CloneFlags, Conflict, Error, Stage};
use std::os::fd::AsRawFd;

/// Flags that would share things which a program cannot share with its caller.
const OWN: [(CloneFlags, &str); 3] = [
    (CloneFlags::FS, "FS cannot be shared with a program: its chdir and chroot would be the caller's, too"),
    (CloneFlags::FILES, "FILES cannot be shared with a program: execve(2) gives it a table of its own"),
    (CloneFlags::SIGHAND, "SIGHAND cannot be shared with a program: a handler is an address in the memory"),
];

impl Request {
    /// Refuses requests that the kernel would refuse, and names them. For `exec` (`in_place`), it also refuses requests
    /// that need a child. `between` says that an intermediate child starts the program's child.
    pub(super) fn check_birth(&self, in_place: bool, between: bool) -> Result<(), Error> {
        let flags = self.birth_flags();
        let refusal = if let Some((_, hint)) = OWN.iter().find(|(flag, _)| flags.contains(*flag)) {
            Some(*hint)
        } else if let Some(hint) = self.maps.conflict(flags) {
            Some(hint)
        } else if in_place && (!flags.is_empty() || !self.set_tid.is_empty()) {
            Some(
                "flags, cgroup, set_tid, autoreap and kill_on_close are those of a child, which exec does not make",
            )
        } else {
            let mut flags = flags;
            flags.set(CloneFlags::PIDFD, self.pidfd);
            flags.set(CloneFlags::PARENT, between);
            Conflict::find(flags, 0, call_for(flags)).map(Conflict::message)
        };
        refusal.map_or(Ok(()), |hint| Err(Error::new(Stage::Flags, libc::EINVAL, hint)))
    }

    /// The flags for all requests that the kernel fulfils at birth.
    fn birth_flags(&self) -> CloneFlags {
        // Handlers are always reset, so this flag asks for nothing.
        let mut flags = CloneFlags::from(self.flags) - CloneFlags::CLEAR_SIGHAND;
        flags.set(CloneFlags::INTO_CGROUP, self.cgroup.is_some());
        flags.set(CloneFlags::AUTOREAP, self.autoreap);
        flags.set(CloneFlags::PIDFD_AUTOKILL, self.kill_on_close);
        // Without CAP_SYS_ADMIN, the kernel demands this flag.
        if self.kill_on_close && self.no_new_privs {
            flags |= CloneFlags::NNP;
        }
        flags
    }

    /// The arguments for the program's child, without its stack and without the places where the kernel stores
    /// something. There is no exit signal. So if a step fails, only the start learns of the child.
    pub(super) fn birth(&self, plan: &Plan, resets: bool) -> CloneArgs {
        let mut flags = self.birth_flags() | CloneFlags::VM;
        flags.set(CloneFlags::CLEAR_SIGHAND, !resets);
        flags.set(CloneFlags::FILES, plan.cuts_fds);
        flags.set(CloneFlags::PIDFD, self.pidfd || plan.awaits_maps);
        CloneArgs {
            flags: flags.bits(),
            set_tid: if self.set_tid.is_empty() {
                0
            } else {
                self.set_tid.as_ptr().expose_provenance() as u64
            },
            set_tid_size: self.set_tid.len() as u64,
            cgroup: self.cgroup.as_ref().map_or(0, |fd| fd.as_raw_fd() as u64),
            ..CloneArgs::default()
        }
    }
}

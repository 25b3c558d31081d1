//! Restrictions of a program: rules of landlock, and filters of system calls. They come last, because they already hold
//! for each later step.

use super::plan::{NO_NAME, Plan};
use super::request::Request;
use crate::{Error, Stage};
use std::ffi::{c_int, c_long, c_ushort};
use std::os::fd::RawFd;

/// `struct sock_fprog`, with its pointer as an integer.
#[repr(C)]
struct Program {
    length: c_ushort,
    instructions: c_long,
}

impl Plan {
    pub(super) fn confine(&mut self, request: &Request, ruleset: Option<RawFd>) -> Result<(), Error> {
        if let Some(ruleset) = ruleset {
            self.call(Stage::Landlock, NO_NAME, LANDLOCK_RESTRICT_SELF, [c_long::from(ruleset), 0, 0, 0]);
        }
        for filter in &request.filters {
            let instructions = filter.chunks_exact(size_of::<u64>());
            let rest = instructions.remainder();
            let length = c_ushort::try_from(instructions.len()).ok().filter(|length| *length > 0);
            let Some(length) = length.filter(|_| rest.is_empty()) else {
                let hint = "a filter is 1 to 4096 instructions of 8 bytes each";
                return Err(Error::new(Stage::Seccomp, libc::EINVAL, hint));
            };
            // A u64 is at least as aligned as `struct sock_filter`.
            let aligned = instructions.map(|bytes| u64::from_ne_bytes(bytes.try_into().expect("8 bytes")));
            let instructions = self.keep(aligned.collect::<Vec<u64>>());
            let program = self.keep(vec![Program { length, instructions }]);
            const SET_MODE_FILTER: c_long = libc::SECCOMP_SET_MODE_FILTER as c_long;
            self.call(Stage::Seccomp, NO_NAME, libc::SYS_seccomp, [SET_MODE_FILTER, 0, program, 0]);
        }
        Ok(())
    }
}

/// Explains an errno of landlock_restrict_self(2) or seccomp(2).
pub(super) fn why(stage: Stage, errno: c_int) -> Option<&'static str> {
    Some(match (stage, errno) {
        (_, libc::EPERM | libc::EACCES) => {
            "it takes no_new_privs, or CAP_SYS_ADMIN, and earlier filters that let it through"
        }
        (Stage::Landlock, libc::EBADFD | libc::EBADF) => "it is no descriptor of a ruleset of landlock",
        (Stage::Landlock, libc::ENOSYS | libc::EOPNOTSUPP) => {
            "needs landlock, in the kernel since Linux 5.13 and switched on, and let through by seccomp filters"
        }
        (Stage::Landlock, libc::E2BIG) => "there are 16 layers of rules already",
        (Stage::Seccomp, libc::EINVAL) => "the filter is no program that the kernel takes",
        _ => return None,
    })
}

/// On every architecture, the numbers of new system calls have the same distance from each other.
const LANDLOCK_RESTRICT_SELF: c_long = libc::SYS_clone3 + 446 - 435;

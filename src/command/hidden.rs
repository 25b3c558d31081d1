//! Hides the caller's memory from others while a child has it.
//!
//! A child may have other ids, fewer capabilities or another user namespace than the caller. Then the child can be
//! traced, and the caller's memory read through it, by processes that may not trace the caller. So the memory is not
//! dumpable meanwhile. When ids change, the kernel makes it so. Otherwise [`hide`](Plan::hide) does.

#![allow(unsafe_code)]

use super::child::address;
use super::plan::{NO_NAME, Plan};
use crate::Stage;
use crate::raw::clone_trampoline_syscall;
use crate::start::end::Pause;
use std::ffi::c_long;
use std::ptr;
use std::time::UNIX_EPOCH;

impl Plan {
    /// Makes the memory undumpable before steps for which the kernel does not do so.
    pub(super) fn hide(&mut self, stage: Stage) {
        if self.watches {
            let arguments = [c_long::from(libc::PR_SET_DUMPABLE), 0, 0, 0];
            self.call(stage, NO_NAME, libc::SYS_prctl, arguments);
        }
    }
}

/// Waits until a child no longer has this memory, because it has executed its program or has ended. The kernel wakes
/// the caller slightly earlier (in `exec_mmap`). Newer kernels also close close-on-exec descriptors earlier (before
/// `exec_mmap`, seen in 7.2). So neither shows that the memory is gone.
///
/// Returns whether this can be known. If not, the memory has to stay hidden.
pub(super) fn wait_for_own_memory(child: libc::pid_t) -> bool {
    // No other memory has these words at this address.
    let time = UNIX_EPOCH.elapsed().unwrap_or_default();
    let here = [time.as_nanos() as usize, ptr::from_ref(&time).addr()];
    let has_it = |pid: libc::pid_t| {
        let mut there = [0_usize; 2];
        let local = libc::iovec { iov_base: there.as_mut_ptr().cast(), iov_len: size_of_val(&there) };
        let remote = libc::iovec { iov_base: here.as_ptr().cast_mut().cast(), iov_len: size_of_val(&here) };
        let (pid, local, remote) = (c_long::from(pid), address(&local), address(&remote));
        // libc's syscall(2) does not work on x32: it takes the last of six arguments from the stack, with garbage above
        // its 32 bits. While the child still has the caller's memory, the kernel checks no permissions.
        // SAFETY: `there` has room for the words.
        unsafe { clone_trampoline_syscall(libc::SYS_process_vm_readv, pid, local, 1, remote, 1, 0) };
        there == here
    };
    // SAFETY: the call takes no arguments.
    if !has_it(unsafe { libc::getpid() }) {
        return false;
    }
    let mut pause = Pause::new();
    while has_it(child) {
        pause.sleep();
    }
    true
}

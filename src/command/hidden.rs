//! How the caller's memory is kept from others while a child has it.
//!
//! A child with other ids, or fewer capabilities, or in another user namespace, can be traced by whom the caller cannot be
//! traced by, and with it the caller's memory. So the memory is not dumpable meanwhile: the kernel sees to it when ids change,
//! and [`hide`](Plan::hide) otherwise.

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
    /// Where no change of ids does.
    pub(super) fn hide(&mut self, stage: Stage) {
        if self.watches {
            let arguments = [c_long::from(libc::PR_SET_DUMPABLE), 0, 0, 0];
            self.call(stage, NO_NAME, libc::SYS_prctl, arguments);
        }
    }
}

/// Waits until a child no longer has this memory, because it has executed its program or has ended. The kernel wakes the caller a
/// little before (`exec_mmap`), and newer ones close descriptors before as well. Whether it can be known: if not, the memory
/// has to stay hidden.
pub(super) fn wait_for_own_memory(child: libc::pid_t) -> bool {
    // No other memory has these words here.
    let time = UNIX_EPOCH.elapsed().unwrap_or_default();
    let here = [time.as_nanos() as usize, ptr::from_ref(&time).addr()];
    let has_it = |pid: libc::pid_t| {
        let mut there = [0_usize; 2];
        let local = libc::iovec { iov_base: there.as_mut_ptr().cast(), iov_len: size_of_val(&there) };
        let remote = libc::iovec { iov_base: here.as_ptr().cast_mut().cast(), iov_len: size_of_val(&here) };
        let (pid, local, remote) = (c_long::from(pid), address(&local), address(&remote));
        // Not by libc's syscall(2), which on x32 takes the last of six arguments from the stack with what is above its 32 bits.
        // SAFETY: a place for the words. The kernel allows it without a question where the memory is the caller's.
        unsafe { clone_trampoline_syscall(libc::SYS_process_vm_readv, pid, local, 1, remote, 1, 0) };
        there == here
    };
    // SAFETY: no arguments to get wrong.
    if !has_it(unsafe { libc::getpid() }) {
        return false;
    }
    let mut pause = Pause::new();
    while has_it(child) {
        pause.sleep();
    }
    true
}

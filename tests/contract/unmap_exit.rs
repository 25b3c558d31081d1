//! C11: unmap_exit unmaps its own stack, that and nothing else, and exits.

use crate::common::*;
use crate::start::*;
use clone_trampoline::raw::unmap_exit_trampoline;
use std::ffi::{c_int, c_void};
use std::os::unix::process::ExitStatusExt;
use std::ptr;

const SIZE: usize = 256 * 1024;

/// The stack of the child, which is its `arg` too, lies between two pages that stay.
unsafe extern "C" fn unmap_exit(base: *mut c_void) -> c_int {
    // SAFETY: signals do not come, and nothing of the kernel's lies in this stack.
    unsafe { unmap_exit_trampoline(base, SIZE, 0x7bcd_efc5) }
}

fn mapped(address: *mut u8) -> bool {
    let mut resident = 0;
    // SAFETY: asks about one page.
    let rc = unsafe { libc::mincore(address.cast(), page(), &mut resident) };
    let errno = std::io::Error::last_os_error().raw_os_error();
    assert!(rc == 0 || errno == Some(libc::ENOMEM), "mincore: {errno:?}");
    rc == 0
}

#[test]
fn c11_unmap_exit_leaves_nothing_mapped() {
    if emulated() {
        return skip("an emulator without CLONE_VM between processes");
    }
    for &via in Via::both() {
        for kind in [Kind::Vfork, Kind::Vm, Kind::Thread] {
            // A process of one thread: nobody else maps something into the gap.
            let end = in_process(|| {
                let stack = Stack::of(SIZE);
                let mut start = Start::new(via, kind);
                let (_, end) = run_on(start.stack(&stack), unmap_exit, stack.base.cast());
                assert!(end.is_none_or(|end| end.code() == Some(0xc5)), "{end:?}");
                // SAFETY: the pages around the stack, and its first and last.
                let pages =
                    unsafe { [stack.base.sub(page()), stack.base, stack.top().sub(page()), stack.top()] };
                assert_eq!(pages.map(mapped), [true, false, false, true]);
                77
            });
            assert_eq!(end.code(), Some(77), "{via:?} {kind:?}: {end:?}");
        }
    }
}

/// Memory that cannot be unmapped stays, and the task ends all the same.
#[test]
fn c11_unmap_exit_exits_even_if_munmap_fails() {
    unsafe extern "C" fn misaligned(base: *mut c_void) -> c_int {
        // SAFETY: munmap refuses an address inside a page.
        unsafe { unmap_exit_trampoline(base.byte_add(1), SIZE, 43) }
    }
    for &via in Via::both() {
        let stack = Stack::of(SIZE);
        let (_, end) = run_on(Start::new(via, Kind::Vfork).stack(&stack), misaligned, stack.base.cast());
        assert_eq!(end.and_then(|end| end.code()), Some(43), "{via:?}");
        assert!(mapped(stack.base));
    }
}

/// Behind the exit is a trap.
#[test]
fn c11_unmap_exit_that_cannot_exit_goes_no_further() {
    unsafe extern "C" fn nothing_to_unmap(_: *mut c_void) -> c_int {
        // SAFETY: a length of 0 unmaps nothing.
        unsafe { unmap_exit_trampoline(ptr::null_mut(), 0, 43) }
    }
    if emulated() {
        return skip("qemu-user has no seccomp");
    }
    let end = in_process(|| {
        refuse(libc::SYS_exit as u32);
        let end = run(Via::Clone, Kind::Fork, nothing_to_unmap, ptr::null_mut()).expect("a process");
        end.signal().unwrap_or(0)
    });
    let traps = [libc::SIGSEGV, libc::SIGILL, libc::SIGTRAP, libc::SIGBUS];
    assert!(end.code().is_some_and(|signal| traps.contains(&signal)), "{end:?}");
}

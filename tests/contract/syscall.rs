//! C13: a system call as the kernel makes it, without errno.

use crate::common::*;
use clone_trampoline::raw::clone_trampoline_syscall;
use std::ffi::c_long;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd};

/// With every call-saved register and the caller's frame watched.
fn watched(args: [usize; 7]) -> isize {
    let function = clone_trampoline_syscall as *const _;
    let mut call = probe::Call { function, args, result: 0, sp: 0, registers_changed: 0, frame_changed: 0 };
    // SAFETY: system calls of these tests, with their own memory and descriptors.
    unsafe { probe::probe_call(&mut call) };
    assert_eq!((call.registers_changed, call.frame_changed), (0, 0), "{args:x?}");
    call.result
}

fn memory_file(text: &str) -> File {
    // SAFETY: a name; what is returned is a new descriptor.
    let mut file = unsafe { File::from_raw_fd(libc::memfd_create(c"test".as_ptr(), libc::MFD_CLOEXEC)) };
    file.write_all(text.as_bytes()).expect("memory");
    file
}

/// copy_file_range(2), whose sixth argument has to be 0.
#[test]
fn c13_six_arguments_arrive_and_the_result_comes_back() {
    if emulated() {
        return skip("qemu-user does not know the files of this test");
    }
    let (from, mut to) = (memory_file("0123456789"), memory_file("abcdefghij"));
    let (mut from_offset, mut to_offset) = (3_i64, 5_i64);
    let mut copy = |length: usize, flags: usize| {
        watched([
            libc::SYS_copy_file_range as usize,
            from.as_raw_fd() as usize,
            (&raw mut from_offset).expose_provenance(),
            to.as_raw_fd() as usize,
            (&raw mut to_offset).expose_provenance(),
            length,
            flags,
        ])
    };
    assert_eq!(copy(4, 0), 4);
    assert_eq!(copy(1, 7), -libc::EINVAL as isize);
    assert_eq!((from_offset, to_offset), (7, 9));
    let mut text = String::new();
    to.rewind().expect("rewind");
    to.read_to_string(&mut text).expect("what was copied");
    assert_eq!(text, "abcde3456j");
}

#[test]
fn c13_an_error_is_the_negative_errno_and_errno_is_left_alone() {
    // SAFETY: errno of this thread.
    unsafe { *libc::__errno_location() = 77 };
    let close = |fd: c_long| watched([libc::SYS_close as usize, fd as usize, 0, 0, 0, 0, 0]);
    assert_eq!(close(-1), -libc::EBADF as isize);
    // SAFETY: as above.
    assert_eq!(unsafe { *libc::__errno_location() }, 77);
}

/// On x32 the upper half of a pointer's register is undefined, in every place.
#[test]
fn c13_pointers_arrive_in_every_place() {
    let mut fds = [-1; 2];
    let pipe2 = libc::SYS_pipe2 as usize;
    let place = (&raw mut fds).expose_provenance();
    assert_eq!(watched([pipe2, place, libc::O_CLOEXEC as usize, 0, 0, 0, 0]), 0);
    close(fds[0]);
    close(fds[1]);

    let mut target = [0_u8; 256];
    let length = watched([
        libc::SYS_readlinkat as usize,
        libc::AT_FDCWD as usize,
        c"/proc/self/exe".as_ptr().expose_provenance(),
        (&raw mut target).expose_provenance(),
        target.len(),
        0,
        0,
    ]);
    let expected = std::env::current_exe().expect("our own path");
    assert_eq!(&target[..length as usize], expected.as_os_str().as_encoded_bytes());
}

/// brk(2) returns an address, and never an errno.
#[test]
fn c13_a_result_is_not_cut() {
    // SAFETY: no change.
    let end = || unsafe { libc::sbrk(0).addr() };
    loop {
        // Other threads may move it.
        let (before, result, after) = (end(), watched([libc::SYS_brk as usize, 0, 0, 0, 0, 0, 0]), end());
        if before == after {
            return assert_eq!(result as usize, before);
        }
    }
}

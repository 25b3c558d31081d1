//! The oldest compiler must build and run this. It uses std alone, without the dependencies of other tests. `ci/msrv`
//! compiles it with that compiler.

use clone_trampoline::CloneFlags;
use clone_trampoline::raw::{CloneArgs, clone_trampoline};
use std::ffi::{c_int, c_ulong, c_void};
use std::ptr::null_mut;

// These functions are libc's, but without the crate of that name.
unsafe extern "C" {
    fn waitpid(pid: c_int, status: *mut c_int, options: c_int) -> c_int;
}
const WALL: c_int = 0x4000_0000; // __WALL

unsafe extern "C" fn set_to_5(number: *mut c_void) -> c_int {
    // SAFETY: this is the test's own variable, and the test sleeps.
    unsafe { *number.cast::<i32>() = 5 };
    42
}

#[test]
fn a_vfork_child_changes_its_mothers_variable() {
    let mut number = 10;
    let flags = (CloneFlags::VM | CloneFlags::VFORK).bits() as c_ulong;
    // SAFETY: with VFORK the caller sleeps until the child is gone.
    let tid = unsafe {
        let number = (&raw mut number).cast();
        clone_trampoline(Some(set_to_5), null_mut(), flags, number, null_mut(), null_mut(), null_mut())
    };
    assert!(tid > 0, "clone: errno {}", -tid);
    assert_eq!(number, 5);
    let mut status = -1;
    // SAFETY: this is a child of ours, and `status` has room for its status.
    assert_eq!(unsafe { waitpid(tid as c_int, &mut status, WALL) }, tid as c_int);
    assert_eq!(status, 42 << 8, "exited with 42");
    assert_eq!(size_of::<CloneArgs>(), 88);
}

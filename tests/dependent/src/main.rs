//! Ends with 42 if there was a child.

use clone_trampoline::raw::clone_trampoline;
use std::ffi::{c_int, c_void};
use std::process::exit;
use std::ptr::null_mut;

extern "C" fn child(_: *mut c_void) -> c_int {
    0
}

fn main() {
    // SAFETY: VM and VFORK; a child that returns at once.
    let tid = unsafe {
        clone_trampoline(Some(child), null_mut(), 0x4100, null_mut(), null_mut(), null_mut(), null_mut())
    };
    exit(if tid > 0 { 42 } else { 1 });
}

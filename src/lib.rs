//! Start tasks on Linux with clone(2) and clone3(2).
//!
//! Both system calls return twice, the second time on another stack, which no compiled language
//! can express. This crate has one small assembly file per architecture that can, and one C ABI in
//! front of them all: [`raw::clone_trampoline`] makes a task that runs `fn(arg)` and ends with its
//! return value, whatever the flags and the stack.
//!
//! The [`raw`] tier is what runtimes build on: `no_std`, no libc, no thread-local storage, usable
//! from a signal handler, and `unsafe` to call.
//!
//! ```
//! use clone_trampoline::{CloneFlags, raw};
//! use std::ffi::{c_int, c_ulong, c_void};
//! use std::ptr;
//!
//! unsafe extern "C" fn child(number: *mut c_void) -> c_int {
//!     // SAFETY: the parent passes a pointer to its own number, and sleeps.
//!     unsafe { *number.cast::<i32>() = 5 };
//!     0
//! }
//!
//! let mut number = 10;
//! let flags = (CloneFlags::VM | CloneFlags::VFORK).bits() as c_ulong | libc::SIGCHLD as c_ulong;
//! // SAFETY: with VFORK the caller sleeps while the child runs, so the child may have its stack, and
//! // `child` touches nothing but the number.
//! let tid = unsafe {
//!     raw::clone_trampoline(
//!         Some(child),
//!         ptr::null_mut(), // no stack of its own: it runs on ours
//!         flags,
//!         (&raw mut number).cast(),
//!         ptr::null_mut(),
//!         ptr::null_mut(),
//!         ptr::null_mut(),
//!     )
//! };
//! assert!(tid > 0, "clone: errno {}", -tid);
//! assert_eq!(number, 5);
//! # let mut status = -1;
//! # // SAFETY: a child of ours, and a place for its status.
//! # assert_eq!(unsafe { libc::waitpid(tid as i32, &mut status, 0) }, tid as i32);
//! # assert_eq!(status, 0);
//! ```
//!
//! # Features
//!
//! * `std` (on by default): reserved for the safe tier. Without it the crate is `no_std`.

#![no_std]
#![deny(unsafe_code)]

mod conflicts;
mod flags;
pub mod raw;

pub use conflicts::{Call, Conflict};
pub use flags::CloneFlags;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}

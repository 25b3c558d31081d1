//! The functions that the compiler calls for copies and comparisons. Elsewhere libc has them. They work byte by byte,
//! because this is an example.
//!
//! `#![no_builtins]` in main.rs keeps the compiler from turning the loops into calls of these same functions.

use core::ffi::{c_int, c_void};

// SAFETY of all four: these are C's functions of the same names, and the callers keep C's promises.

#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut c_void, byte: c_int, length: usize) -> *mut c_void {
    for i in 0..length {
        // SAFETY: see above.
        unsafe { *to.cast::<u8>().add(i) = byte as u8 };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut c_void, from: *const c_void, length: usize) -> *mut c_void {
    for i in 0..length {
        // SAFETY: see above.
        unsafe { *to.cast::<u8>().add(i) = *from.cast::<u8>().add(i) };
    }
    to
}

#[unsafe(no_mangle)]
unsafe extern "C" fn memcmp(a: *const c_void, b: *const c_void, length: usize) -> c_int {
    for i in 0..length {
        // SAFETY: see above.
        let (a, b) = unsafe { (*a.cast::<u8>().add(i), *b.cast::<u8>().add(i)) };
        if a != b {
            return c_int::from(a) - c_int::from(b);
        }
    }
    0
}

#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const c_void, b: *const c_void, length: usize) -> c_int {
    // SAFETY: see above.
    unsafe { memcmp(a, b, length) }
}

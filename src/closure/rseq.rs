//! Restartable sequences (S9): a child that borrows a thread's TLS borrows its rseq area as well.
//!
//! The kernel drops the registration in every child that shares memory, but the area in the TLS still says that it is
//! registered. Then per-CPU code (tcmalloc, librseq) would go on without the kernel's help, and lose updates. So the
//! area is handed over like the TLS that it is part of: the parent unregisters it, the child registers and unregisters
//! it, and the parent registers it again. The area never belongs to two tasks, and what it says is always true. In
//! between it says "unregistered" (cpu_id -1), because both calls write it. Every user of the area must be able to
//! handle that.
//!
//! Only libc's area is found. If an allocator registers its own area, that one is not handed over.

#![allow(unsafe_code)]

use crate::start::arch::{RSEQ_SIG, SYS_RSEQ, thread_pointer};
use core::arch::global_asm;
use core::sync::atomic::{AtomicI32, Ordering};
use std::ffi::{c_int, c_uint, c_void};
use std::io;

// libc's symbols are weak here, because musl and glibc before 2.35 do not have them. This is assembly, because Rust has
// no weak symbols. The crate's own symbol is weak and hidden, because a program may be linked from two static libraries
// in Rust that each have a copy of this crate.
global_asm!(
    ".weak __rseq_offset",
    ".weak __rseq_size",
    ".pushsection .data.rel.ro.clone_trampoline_rseq, \"aw\", %progbits",
    ".balign 8",
    ".weak clone_trampoline_rseq",
    ".hidden clone_trampoline_rseq",
    "clone_trampoline_rseq: .dc.a __rseq_offset, __rseq_size",
    ".popsection",
);

#[repr(C)]
struct Symbols {
    offset: Option<&'static isize>,
    size: Option<&'static c_uint>,
}

unsafe extern "C" {
    safe static clone_trampoline_rseq: Symbols;
}

const UNREGISTER: c_int = 1;
/// The size of the area's first version. libc registers no less.
const SIZE: c_uint = 32;

/// The rseq area in the TLS that this task runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rseq {
    area: *mut u8,
    size: c_uint,
}

impl Rseq {
    /// Returns libc's area of the calling thread, if it is registered.
    pub(crate) fn registered() -> Option<Self> {
        let (Some(offset), Some(&size @ 1..)) = (clone_trampoline_rseq.offset, clone_trampoline_rseq.size)
        else {
            return None;
        };
        let area = thread_pointer().wrapping_offset(*offset);
        // SAFETY: libc keeps the area at this offset, aligned to 32, for as long as the thread lives. The second word
        // is cpu_id, which is negative if the area is not registered. It is atomic, because the kernel writes it too.
        let cpu_id = unsafe { AtomicI32::from_ptr(area.cast::<i32>().add(1)) };
        (cpu_id.load(Ordering::Relaxed) >= 0).then_some(Self { area, size: size.max(SIZE) })
    }

    /// Unregisters the area that [`registered`](Self::registered) has found.
    pub(crate) fn unregister(self) -> io::Result<()> {
        self.rseq(UNREGISTER)
    }

    /// Registers the area again. If that fails, the area still says that it is not registered.
    pub(crate) fn register(self) {
        _ = self.rseq(0);
    }

    fn rseq(self, flags: c_int) -> io::Result<()> {
        // SAFETY: the area, the size and the signature are those that libc has registered for a thread. The calling
        // task is that thread, or the child that has its TLS.
        match unsafe { libc::syscall(SYS_RSEQ, self.area.cast::<c_void>(), self.size, flags, RSEQ_SIG) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

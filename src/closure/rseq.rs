//! Restartable sequences (S9): a child that borrows a thread's TLS borrows its rseq area too.
//!
//! The kernel drops the registration in every child that shares memory, while the area in TLS still
//! says that it is registered: per-CPU code (tcmalloc, librseq) would go on without the kernel's help
//! and lose updates. So the area is handed over like the TLS it lies in, with no moment at which two
//! tasks have it or at which it lies: the parent unregisters it, the child registers and unregisters
//! it, the parent registers it again. Both calls write the area, so that in between it says
//! "unregistered" (cpu_id -1), which every user of it must be able to take.
//!
//! Only libc's area is found. An allocator that registers one of its own is on its own.

#![allow(unsafe_code)]

use crate::start::arch::{RSEQ_SIG, SYS_RSEQ, thread_pointer};
use core::arch::global_asm;
use core::sync::atomic::{AtomicI32, Ordering};
use std::ffi::{c_int, c_uint, c_void};
use std::io;

// Weak, because musl and glibc before 2.35 do not have them; Rust has no weak symbols. Ours is weak too, and hidden: a
// program may be linked from two static libraries in Rust, each with a copy of this crate.
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
/// The size of the first version, which is what is registered at least.
const SIZE: c_uint = 32;

/// The rseq area of the thread whose TLS this task runs on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rseq {
    area: *mut u8,
    size: c_uint,
}

impl Rseq {
    /// Libc's area of the calling thread, if it is registered.
    pub(crate) fn registered() -> Option<Self> {
        let (Some(offset), Some(&size @ 1..)) = (clone_trampoline_rseq.offset, clone_trampoline_rseq.size)
        else {
            return None;
        };
        let area = thread_pointer().wrapping_offset(*offset);
        // SAFETY: libc keeps the area at this offset for as long as the thread lives, aligned to 32;
        // the second word, cpu_id, is negative when it is not registered. The kernel writes it too.
        let cpu_id = unsafe { AtomicI32::from_ptr(area.cast::<i32>().add(1)) };
        (cpu_id.load(Ordering::Relaxed) >= 0).then_some(Self { area, size: size.max(SIZE) })
    }

    /// Gives up what [`registered`](Self::registered) found.
    pub(crate) fn unregister(self) -> io::Result<()> {
        self.rseq(UNREGISTER)
    }

    /// If it fails, the area goes on saying that it is not registered.
    pub(crate) fn register(self) {
        _ = self.rseq(0);
    }

    fn rseq(self, flags: c_int) -> io::Result<()> {
        // SAFETY: rseq(2) with the area, size and signature that libc registered for this thread, on
        // whose TLS the calling task runs.
        match unsafe { libc::syscall(SYS_RSEQ, self.area.cast::<c_void>(), self.size, flags, RSEQ_SIG) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

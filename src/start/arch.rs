//! What the safe tier must know about an architecture: how to read its thread pointer and its stack pointer, and three
//! numbers. A new port needs an entry here.
//!
//! `asm!` for powerpc is stable since Rust 1.95. For mips it is unstable, but mips has no prebuilt core either, so it
//! needs a nightly compiler anyway.

#![allow(unsafe_code)]

use core::arch::asm;
use core::ffi::c_long;

/// The signature in front of every abort handler of a restartable sequence. The kernel kills a task if its handler
/// lacks the signature. glibc's `bits/rseq.h` has it for each architecture.
pub(crate) const RSEQ_SIG: u32 = rseq_sig();

const fn rseq_sig() -> u32 {
    if cfg!(any(target_arch = "x86_64", target_arch = "x86")) {
        0x5305_3053
    } else if cfg!(target_arch = "aarch64") {
        // It is an instruction, and instructions are little-endian even if data are big-endian.
        if cfg!(target_endian = "little") { 0xd428_bc00 } else { 0x00bc_28d4 }
    } else if cfg!(target_arch = "arm") {
        if cfg!(target_endian = "little") { 0xe7f5_def3 } else { 0xf3de_f5e7 }
    } else if cfg!(any(target_arch = "riscv64", target_arch = "riscv32")) {
        0xf140_1073
    } else if cfg!(any(target_arch = "powerpc64", target_arch = "powerpc")) {
        0x0fe5_000b
    } else if cfg!(target_arch = "s390x") {
        0xb2ff_0fff
    } else if mips() {
        0x0350_000d
    } else if cfg!(target_arch = "loongarch64") {
        0x002a_0010
    } else {
        panic!("src/start/arch.rs has no RSEQ_SIG for this architecture")
    }
}

/// The number of rseq(2). The libc crate lacks it for riscv32, which uses the generic number.
#[cfg(not(target_arch = "riscv32"))]
pub(crate) const SYS_RSEQ: c_long = libc::SYS_rseq;
#[cfg(target_arch = "riscv32")]
pub(crate) const SYS_RSEQ: c_long = 293;

/// The kernel's `_NSIG`: the number of signals, and so the size of a set of signals in bits.
pub(crate) const NSIG: usize = if mips() { 128 } else { 64 };

pub(crate) const fn mips() -> bool {
    cfg!(any(
        target_arch = "mips",
        target_arch = "mips64",
        target_arch = "mips32r6",
        target_arch = "mips64r6"
    ))
}

/// Returns the calling thread's thread pointer, as `__builtin_thread_pointer` does. The ABI counts the offsets of the
/// TLS from it.
#[cfg(not(target_arch = "arm"))]
pub(crate) fn thread_pointer() -> *mut u8 {
    let pointer;
    // SAFETY: each instruction only reads the thread pointer. On x86 it points to a word that holds the pointer itself.
    unsafe {
        #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
        asm!("mov {}, fs:[0]", out(reg) pointer, options(pure, readonly, nostack, preserves_flags));
        #[cfg(all(target_arch = "x86_64", target_pointer_width = "32"))]
        asm!("mov {:e}, fs:[0]", out(reg) pointer, options(pure, readonly, nostack, preserves_flags));
        #[cfg(target_arch = "x86")]
        asm!("mov {}, gs:[0]", out(reg) pointer, options(pure, readonly, nostack, preserves_flags));
        #[cfg(target_arch = "aarch64")]
        asm!("mrs {}, tpidr_el0", out(reg) pointer, options(pure, nomem, nostack, preserves_flags));
        #[cfg(any(target_arch = "riscv64", target_arch = "riscv32"))]
        asm!("mv {}, tp", out(reg) pointer, options(pure, nomem, nostack, preserves_flags));
        #[cfg(target_arch = "loongarch64")]
        asm!("move {}, $tp", out(reg) pointer, options(pure, nomem, nostack, preserves_flags));
        #[cfg(target_arch = "powerpc64")]
        asm!("mr {}, 13", out(reg) pointer, options(pure, nomem, nostack, preserves_flags));
        #[cfg(target_arch = "powerpc")]
        asm!("mr {}, 2", out(reg) pointer, options(pure, nomem, nostack, preserves_flags));
        #[cfg(target_arch = "s390x")]
        asm!(
            "ear {0}, %a0",
            "sllg {0}, {0}, 32",
            "ear {0}, %a1",
            out(reg) pointer,
            options(pure, nomem, nostack, preserves_flags)
        );
        // If the processor lacks this instruction, the kernel emulates it, but only for this register.
        #[cfg(any(
            target_arch = "mips",
            target_arch = "mips64",
            target_arch = "mips32r6",
            target_arch = "mips64r6"
        ))]
        asm!("rdhwr $3, $29", out("$3") pointer, options(pure, nomem, nostack, preserves_flags));
    }
    pointer
}

/// Returns the calling thread's thread pointer. Not every arm has a register for it, but libc can always read it.
#[cfg(target_arch = "arm")]
pub(crate) fn thread_pointer() -> *mut u8 {
    unsafe extern "C" {
        safe fn __aeabi_read_tp() -> *mut u8; // in the run-time ABI, which both glibc and musl have
    }
    __aeabi_read_tp()
}

/// Returns the stack pointer of the function that this is inlined into. The address of a local would not do, because
/// sanitizers keep locals elsewhere.
#[inline(always)]
pub(crate) fn stack_pointer() -> usize {
    let pointer;
    // SAFETY: each instruction only reads the register.
    unsafe {
        #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
        asm!("mov {}, rsp", out(reg) pointer, options(nomem, nostack, preserves_flags));
        #[cfg(all(target_arch = "x86_64", target_pointer_width = "32"))]
        asm!("mov {:e}, esp", out(reg) pointer, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "x86")]
        asm!("mov {}, esp", out(reg) pointer, options(nomem, nostack, preserves_flags));
        #[cfg(any(target_arch = "aarch64", target_arch = "arm"))]
        asm!("mov {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
        #[cfg(any(target_arch = "riscv64", target_arch = "riscv32"))]
        asm!("mv {}, sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "loongarch64")]
        asm!("move {}, $sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
        #[cfg(any(target_arch = "powerpc64", target_arch = "powerpc"))]
        asm!("mr {}, 1", out(reg) pointer, options(nomem, nostack, preserves_flags));
        #[cfg(target_arch = "s390x")]
        asm!("lgr {}, %r15", out(reg) pointer, options(nomem, nostack, preserves_flags));
        #[cfg(any(
            target_arch = "mips",
            target_arch = "mips64",
            target_arch = "mips32r6",
            target_arch = "mips64r6"
        ))]
        asm!("move {}, $sp", out(reg) pointer, options(nomem, nostack, preserves_flags));
    }
    pointer
}

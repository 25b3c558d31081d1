//! What the safe tier must know about an architecture: how its thread pointer is read, and two
//! numbers. A new port has an entry here.

#![allow(unsafe_code)]

use core::arch::asm;

/// What stands before every abort handler of a restartable sequence; the kernel kills a task whose
/// handler lacks it. glibc's `bits/rseq.h` has it per architecture.
pub(crate) const RSEQ_SIG: u32 = rseq_sig();

const fn rseq_sig() -> u32 {
    if cfg!(any(target_arch = "x86_64", target_arch = "x86")) {
        0x5305_3053
    } else if cfg!(target_arch = "aarch64") {
        // An instruction, so the data's byte order matters.
        if cfg!(target_endian = "little") { 0xd428_bc00 } else { 0x00bc_28d4 }
    } else if cfg!(target_arch = "riscv64") {
        0xf140_1073
    } else {
        panic!("src/arch.rs has no RSEQ_SIG for this architecture")
    }
}

/// `_NSIG` of the kernel: the number of signals, which is the size of its sets in bits.
pub(crate) const NSIG: usize = if cfg!(any(target_arch = "mips", target_arch = "mips64")) { 128 } else { 64 };

/// The calling thread's thread pointer, from which the ABI counts the offsets of its TLS.
pub(crate) fn thread_pointer() -> *mut u8 {
    let pointer;
    // SAFETY: each only reads the thread pointer; on x86 the word that it points to is itself.
    unsafe {
        #[cfg(all(target_arch = "x86_64", target_pointer_width = "64"))]
        asm!("mov {}, fs:[0]", out(reg) pointer, options(pure, readonly, nostack, preserves_flags));
        #[cfg(all(target_arch = "x86_64", target_pointer_width = "32"))]
        asm!("mov {:e}, fs:[0]", out(reg) pointer, options(pure, readonly, nostack, preserves_flags));
        #[cfg(target_arch = "x86")]
        asm!("mov {}, gs:[0]", out(reg) pointer, options(pure, readonly, nostack, preserves_flags));
        #[cfg(target_arch = "aarch64")]
        asm!("mrs {}, tpidr_el0", out(reg) pointer, options(pure, nomem, nostack, preserves_flags));
        #[cfg(target_arch = "riscv64")]
        asm!("mv {}, tp", out(reg) pointer, options(pure, nomem, nostack, preserves_flags));
    }
    pointer
}

//! The two pieces of assembly that each architecture needs. A new architecture adds its lines to both.

use core::arch::{asm, global_asm};
use core::ffi::c_void;

// The kernel enters here. The stack is aligned. There is no return address, because there is nothing to return to.
global_asm!(
    ".globl _start",
    "_start:",
    ".cfi_startproc",
    #[cfg(target_arch = "x86_64")]
    "
    .cfi_undefined rip
    xor     ebp, ebp
    call    {main}
    ud2",
    #[cfg(target_arch = "x86")]
    "
    .cfi_undefined eip
    xor     ebp, ebp
    call    {main}
    ud2",
    #[cfg(target_arch = "aarch64")]
    "
    .cfi_undefined x30
    mov     x29, #0
    bl      {main}
    brk     #1",
    // The linker uses gp to shorten addresses.
    #[cfg(target_arch = "riscv64")]
    "
    .cfi_undefined ra
    .option push
    .option norelax
    la      gp, __global_pointer$
    .option pop
    li      s0, 0
    call    {main}
    ebreak",
    ".cfi_endproc",
    main = sym crate::main,
);

/// Returns the thread pointer of the calling thread. The thread must have one.
pub(crate) fn thread_pointer() -> *mut c_void {
    let pointer;
    // SAFETY: this reads a register, or (x86) the first word of the thread's block, which holds the block's address.
    unsafe {
        #[cfg(target_arch = "x86_64")]
        asm!("mov {}, fs:0", out(reg) pointer, options(nostack, preserves_flags, readonly));
        #[cfg(target_arch = "x86")]
        asm!("mov {}, gs:0", out(reg) pointer, options(nostack, preserves_flags, readonly));
        #[cfg(target_arch = "aarch64")]
        asm!("mrs {}, tpidr_el0", out(reg) pointer, options(nostack, preserves_flags, nomem));
        #[cfg(target_arch = "riscv64")]
        asm!("mv {}, tp", out(reg) pointer, options(nostack, preserves_flags, nomem));
    }
    pointer
}

/* arm, EABI, either byte order: ARM state, or Thumb-2 where the compiler makes that. What differs from
 * x86_64.S: the last three C arguments are on the stack, r7 has the kernel's number and is call-saved,
 * and the unwinder of exceptions has tables of its own.
 *
 * clone_trampoline      C call                kernel
 *   number                                    r7   120
 *   fn                  r0                    -         kept in ip
 *   stack_top           r1                    r1
 *   flags               r2                    r0
 *   arg                 r3                    -         kept in r5
 *   parent_tid          0(sp)                 r2
 *   tls                 4(sp)                 r3
 *   child_tid           8(sp)                 r4
 *
 * clone3_trampoline     C call                kernel
 *   number                                    r7   435
 *   args                r0                    r0
 *   size                r1                    r1
 *   fn                  r2                    -         stays in r2
 *   arg                 r3                    -         stays in r3
 *
 * The trap destroys r0 only. */

#ifdef __ARM_EABI__
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0            /* none is defined: pointer authentication and landing pads */
#define PORT_PROPERTY_BITS 0            /* are for the M profile's 32-bit code */
#include "port.h"

        .syntax unified
#ifdef __thumb2__
        .thumb
#else
        .arm                            /* Thumb-1 cannot say most of this; its cores have ARM state */
#endif

#define NR_exit   1
#define NR_munmap 91
#define NR_clone  120
#define NR_clone3 435

/* The EHABI's tables are for exceptions, which no instruction here raises or passes on: no frame below
 * a trampoline's has one to catch. So all of it is "cannot be unwound", which is C8 in that language.
 * A description of the parent's frame would need a personality routine, a symbol from outside (C12).
 * Debuggers and profilers, which stop anywhere, read the CFI. */
.macro ehabi_function name
        function \name
        .fnstart
        .cantunwind
.endm

.macro end_ehabi_function name
        .fnend
        end_function \name
.endm

/* fn may be in either state, whatever this code is in: its lowest bit says so. */
.macro call register
#if __ARM_ARCH >= 5
        blx     \register
#else
        mov     lr, pc                  /* two instructions ahead, and in ARM state without the bit */
        bx      \register
#endif
.endm

.macro child fn, arg
        child_begins lr
        mov     r7, #0                  /* C8: Thumb's frame pointer, */
        mov     r11, #0                 /* and ARM's: fn may be in either state */
        mov     r0, sp
        bic     r0, r0, #7              /* C5: not in SP itself, as Thumb-2 cannot before ARMv8 */
        sub     r0, r0, #16             /* libc's syscall() loads four words above its caller's frame, */
        mov     sp, r0                  /* passed or not: above a small fn's they must be there */
        mov     r0, \arg
        call    \fn
        mov     r7, #NR_exit            /* the status is where exit wants it */
        svc     #0
        udf     #0
.endm

ehabi_function clone_trampoline
        cmp     r0, #0
        beq     .Lclone_invalid
        cmp     r1, #0
        bne     .Lclone_stack_is_right
        tst     r2, #CLONE_VM
        beq     .Lclone_stack_is_right
        tst     r2, #CLONE_VFORK
        beq     .Lclone_invalid
.Lclone_stack_is_right:
        push    {r4, r5, r7}            /* SP need not be 8-aligned here: the child aligns its own */
        .cfi_adjust_cfa_offset 12
        .cfi_rel_offset r4, 0
        .cfi_rel_offset r5, 4
        .cfi_rel_offset r7, 8
        mov     ip, r0
        mov     r5, r3
        mov     r0, r2
        ldr     r2, [sp, #12]
        ldr     r3, [sp, #16]
        ldr     r4, [sp, #20]
        mov     r7, #NR_clone
        svc     #0
        cmp     r0, #0
        beq     .Lclone_child
        pop     {r4, r5, r7}
        .cfi_adjust_cfa_offset -12
        .cfi_restore r4
        .cfi_restore r5
        .cfi_restore r7
        bx      lr
.Lclone_invalid:
        mvn     r0, #(EINVAL - 1)
        bx      lr
.Lclone_child:
        child   ip, r5
end_ehabi_function clone_trampoline

ehabi_function clone3_trampoline
        cmp     r0, #0
        beq     .Lclone3_invalid
        cmp     r2, #0
        beq     .Lclone3_invalid
        mov     ip, r7                  /* C6, without a frame */
        .cfi_register r7, ip
        mov     r7, #(NR_clone3 & ~15)  /* in two parts: no immediate before ARMv6T2 */
        orr     r7, r7, #(NR_clone3 & 15)
        svc     #0
        mov     r7, ip
        .cfi_restore r7
        cmp     r0, #0
        beq     .Lclone3_child
        bx      lr
.Lclone3_invalid:
        mvn     r0, #(EINVAL - 1)
        bx      lr
.Lclone3_child:
        child   r2, r3
end_ehabi_function clone3_trampoline

ehabi_function unmap_exit_trampoline
        mov     r7, #NR_munmap          /* call-saved, but nobody returns */
        svc     #0
        .cfi_undefined lr
        mov     r0, r2
        mov     r7, #NR_exit
        svc     #0
        udf     #0
end_ehabi_function unmap_exit_trampoline

/* C13 */
ehabi_function clone_trampoline_syscall
        push    {r4, r5, r7}
        .cfi_adjust_cfa_offset 12
        .cfi_rel_offset r4, 0
        .cfi_rel_offset r5, 4
        .cfi_rel_offset r7, 8
        mov     r7, r0
        mov     r0, r1
        mov     r1, r2
        mov     r2, r3
        ldr     r3, [sp, #12]
        ldr     r4, [sp, #16]
        ldr     r5, [sp, #20]
        svc     #0
        pop     {r4, r5, r7}
        .cfi_adjust_cfa_offset -12
        .cfi_restore r4
        .cfi_restore r5
        .cfi_restore r7
        bx      lr
end_ehabi_function clone_trampoline_syscall

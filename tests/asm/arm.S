/* Offsets into struct Call and struct Entry of lib.rs are multiples of the word, 4 bytes. */
#ifdef __ARM_EABI__
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0
#define PORT_PROPERTY_BITS 0
#include "port.h"

        .syntax unified
#ifdef __thumb2__
        .thumb
#else
        .arm
#endif

#define WORDS 64

.macro pattern register, n
        mov     \register, #0x5a000000
        orr     \register, \register, #0x00a50000
        orr     \register, \register, #0x0000c300
        orr     \register, \register, #(0x3c + \n)
.endm
/* r0 collects every bit that differs from the pattern plus n */
.macro differs register, n
        pattern r1, \n
        eor     r1, r1, \register
        orr     r0, r0, r1
.endm

/* The frame: 0 the three arguments on the stack, 12 the struct Call, 16 the patterned words. */
#define FRAME (16 + 4 * WORDS)
function probe_call
        push    {r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}      /* r3 for SP to stay 8-aligned */
        .cfi_adjust_cfa_offset 40
        .irp n, 4, 5, 6, 7, 8, 9, 10, 11
        .cfi_rel_offset r\n, 4 * (\n - 3)
        .endr
        .cfi_rel_offset lr, 36
#ifdef __ARM_FP
        vpush   {d8-d15}
        .cfi_adjust_cfa_offset 64
#endif
        sub     sp, sp, #FRAME
        .cfi_adjust_cfa_offset FRAME
        str     r0, [sp, #12]
        pattern r1, 0
        add     r2, sp, #16
        add     r3, sp, #FRAME
1:      str     r1, [r2], #4
        cmp     r2, r3
        bne     1b
        mov     r2, sp
        str     r2, [r0, #36]
        .irp n, 0, 4, 8
        ldr     r1, [r0, #(20 + \n)]
        str     r1, [sp, #\n]
        .endr
#ifdef __ARM_FP
        .irp n, 8, 9, 10, 11, 12, 13, 14, 15
        pattern r1, \n
        vmov    d\n, r1, r1
        .endr
#endif
        .irp n, 4, 5, 6, 7, 8, 9, 10, 11
        pattern r\n, \n
        .endr
        mov     ip, r0
        ldr     r0, [ip, #4]
        ldr     r1, [ip, #8]
        ldr     r2, [ip, #12]
        ldr     r3, [ip, #16]
        ldr     ip, [ip]
#if __ARM_ARCH >= 5
        blx     ip
#else
        mov     lr, pc
        bx      ip
#endif
        ldr     ip, [sp, #12]
        str     r0, [ip, #32]
        mov     r0, sp
        ldr     r1, [ip, #36]
        eor     r0, r0, r1
        .irp n, 4, 5, 6, 7, 8, 9, 10, 11
        differs r\n, \n
        .endr
#ifdef __ARM_FP
        .irp n, 8, 9, 10, 11, 12, 13, 14, 15
        vmov    r2, r3, d\n
        differs r2, \n
        differs r3, \n
        .endr
#endif
        str     r0, [ip, #40]
        mov     r0, #0
        .irp n, 0, 4, 8
        ldr     r1, [sp, #\n]
        ldr     r2, [ip, #(20 + \n)]
        eor     r1, r1, r2
        orr     r0, r0, r1
        .endr
        add     r2, sp, #16
        add     r3, sp, #FRAME
2:      ldr     r4, [r2], #4
        differs r4, 0
        cmp     r2, r3
        bne     2b
        str     r0, [ip, #44]
        add     sp, sp, #FRAME
        .cfi_adjust_cfa_offset -FRAME
#ifdef __ARM_FP
        vpop    {d8-d15}
        .cfi_adjust_cfa_offset -64
#endif
        pop     {r3, r4, r5, r6, r7, r8, r9, r10, r11, lr}
        .cfi_adjust_cfa_offset -40
        .irp n, 4, 5, 6, 7, 8, 9, 10, 11
        .cfi_restore r\n
        .endr
        .cfi_restore lr
        bx      lr
end_function probe_call

/* Rust's functions are in ARM state; so that both are called, this begins in Thumb's whatever the port is in. */
        .thumb
function probe_entry
        mov     r1, sp
        str     r1, [r0]
#ifndef __thumb2__
        bx      pc                      /* two halfwords ahead: Thumb-1 has no mrc */
        nop
        .arm
#endif
        orr     r1, r7, r11             /* Thumb's frame pointer and ARM's */
        str     r1, [r0, #4]
        mrc     p15, 0, r1, c13, c0, 3
        str     r1, [r0, #8]
#ifdef __ARM_NEON
        sub     r1, sp, #16
        vst1.8  {d0, d1}, [r1:64]       /* faults if SP is not 8-aligned */
#elif __ARM_ARCH >= 6
        strd    r2, r3, [sp, #-8]       /* faults if SP is not 4-aligned */
#endif
        ldr     ip, [r0, #12]
        bx      ip
end_function probe_entry

function probe_tls_argument
        bx      lr
end_function probe_tls_argument

function probe_stack_alignment
        mov     r0, #8
        bx      lr
end_function probe_stack_alignment

function probe_property
        mov     r0, #0
        mov     r1, #0
        bx      lr
end_function probe_property

/* nothing unwinds a trampoline's frame by the EHABI */
function probe_pattern
        mov     r0, #0
        bx      lr
end_function probe_pattern

function probe_landing_pad
        mov     r0, #0
        bx      lr
end_function probe_landing_pad

/* The EHABI's unwinder has these as inline functions in its header only. */
function _Unwind_GetGR
        push    {r4, lr}
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset lr, 4
        sub     sp, sp, #16
        .cfi_adjust_cfa_offset 16
        add     r4, sp, #8
        str     r4, [sp]                /* where to */
        mov     r2, r1                  /* this one of */
        mov     r1, #0                  /* the core registers, */
        mov     r3, #0                  /* as a word */
        bl      _Unwind_VRS_Get
        ldr     r0, [sp, #8]
        add     sp, sp, #16
        .cfi_adjust_cfa_offset -16
        pop     {r4, lr}
        .cfi_adjust_cfa_offset -8
        .cfi_restore lr
        bx      lr
end_function _Unwind_GetGR

function _Unwind_GetIP
        push    {r4, lr}
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset lr, 4
        mov     r1, #15                 /* pc */
        bl      _Unwind_GetGR
        bic     r0, r0, #1              /* without the state */
        pop     {r4, lr}
        .cfi_adjust_cfa_offset -8
        .cfi_restore lr
        bx      lr
end_function _Unwind_GetIP

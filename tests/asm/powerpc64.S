/* Offsets into struct Call and struct Entry of lib.rs are multiples of the word, 8 bytes. */
#ifdef __powerpc64__
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0
#define PORT_PROPERTY_BITS 0
#if defined(_CALL_ELF) && _CALL_ELF == 2
        .abiversion 2
# define TOC_SLOT 24
#else
# define PORT_DESCRIPTORS
# define TOC_SLOT 40
#endif
#include "port.h"

#define WORDS 64

/* ctr and what the function finds beside it, for a call of the pointer in r12 */
.macro through_r12
#ifdef PORT_DESCRIPTORS
        ld      %r0, 0(%r12)
        ld      %r11, 16(%r12)
        ld      %r2, 8(%r12)
        mtctr   %r0
#else
        mtctr   %r12
#endif
.endm

.macro pattern register
        lis     \register, 0x5aa5
        ori     \register, \register, 0xc33c
        sldi    \register, \register, 32
        oris    \register, \register, 0x6996
        ori     \register, \register, 0x0ff0
.endm
/* r10 collects every bit that differs from the pattern in r9 plus n */
.macro differs register, n
        addi    %r11, \register, -\n
        xor     %r11, %r11, %r9
        or      %r10, %r10, %r11
.endm

/* The frame: the largest header, the patterned words (the first eight are ELFv1's parameter area), then
 * the registers, 16 bytes on the way to vector and floating-point ones, and the struct Call. cr and lr
 * are in the caller's slots. */
#define PATTERNED 48
#define GENERAL   (PATTERNED + 8 * WORDS)
#define FLOATING  (GENERAL + 8 * 18)
#define VECTOR    (FLOATING + 8 * 18)
#define SCRATCH   (VECTOR + 16 * 12)
#define CALL      (SCRATCH + 16)
#define FRAME     (CALL + 16)
function probe_call
        mflr    %r0
        std     %r0, 16(%r1)
        mfcr    %r0
        std     %r0, 8(%r1)
        stdu    %r1, -FRAME(%r1)
        .cfi_def_cfa_offset FRAME
        .cfi_offset lr, 16
        std     %r2, TOC_SLOT(%r1)
        .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        std     %r\n, GENERAL + 8 * (\n - 14)(%r1)
        stfd    %f\n, FLOATING + 8 * (\n - 14)(%r1)
        .endr
#ifdef __ALTIVEC__
        .irp n, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        li      %r11, VECTOR + 16 * (\n - 20)
        stvx    %v\n, %r11, %r1
        .endr
#endif
        std     %r3, CALL(%r1)
        std     %r1, 72(%r3)
        mr      %r8, %r3
        pattern %r9
        li      %r10, WORDS
        mtctr   %r10
        addi    %r10, %r1, PATTERNED - 8
1:      stdu    %r9, 8(%r10)
        bdnz    1b
        mtcrf   0x38, %r9               /* cr2, cr3, cr4 */
        .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        addi    %r\n, %r9, \n
        std     %r\n, SCRATCH(%r1)
        std     %r\n, SCRATCH + 8(%r1)
        lfd     %f\n, SCRATCH(%r1)
#ifdef __ALTIVEC__
        li      %r11, SCRATCH
        .if     \n >= 20
        lvx     %v\n, %r11, %r1
        .endif
#endif
        .endr
        ld      %r12, 0(%r8)
        through_r12
        ld      %r3, 8(%r8)
        ld      %r4, 16(%r8)
        ld      %r5, 24(%r8)
        ld      %r6, 32(%r8)
        ld      %r7, 40(%r8)
        ld      %r9, 56(%r8)
        ld      %r8, 48(%r8)
        bctrl
        ld      %r2, TOC_SLOT(%r1)
        ld      %r8, CALL(%r1)
        std     %r3, 64(%r8)
        pattern %r9
        ld      %r10, 72(%r8)
        xor     %r10, %r10, %r1
        mfcr    %r0
        xor     %r0, %r0, %r9
        rlwinm  %r0, %r0, 0, 8, 19      /* cr2, cr3, cr4 */
        or      %r10, %r10, %r0
        .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        differs %r\n, \n
        stfd    %f\n, SCRATCH(%r1)
        ld      %r12, SCRATCH(%r1)
        differs %r12, \n
#ifdef __ALTIVEC__
        .if     \n >= 20
        li      %r11, SCRATCH
        stvx    %v\n, %r11, %r1
        ld      %r12, SCRATCH(%r1)
        differs %r12, \n
        ld      %r12, SCRATCH + 8(%r1)
        differs %r12, \n
        .endif
#endif
        .endr
        std     %r10, 80(%r8)
        ld      %r10, 0(%r1)            /* the back chain */
        addi    %r11, %r1, FRAME
        xor     %r10, %r10, %r11
        li      %r12, WORDS
        mtctr   %r12
        addi    %r7, %r1, PATTERNED - 8
2:      ldu     %r12, 8(%r7)
        differs %r12, 0
        bdnz    2b
        std     %r10, 88(%r8)
#ifdef __ALTIVEC__
        .irp n, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        li      %r11, VECTOR + 16 * (\n - 20)
        lvx     %v\n, %r11, %r1
        .endr
#endif
        .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        ld      %r\n, GENERAL + 8 * (\n - 14)(%r1)
        lfd     %f\n, FLOATING + 8 * (\n - 14)(%r1)
        .endr
        addi    %r1, %r1, FRAME
        .cfi_def_cfa_offset 0
        ld      %r0, 8(%r1)
        mtcrf   0x38, %r0
        ld      %r0, 16(%r1)
        mtlr    %r0
        blr
end_function probe_call

/* The frame pointer of this architecture is the word at SP, which has to be there, as have the places
 * above it that are the callee's: for cr and lr, and with ELFv1 for its arguments. */
function probe_entry
        std     %r1, 0(%r3)
        ld      %r0, 0(%r1)
        std     %r0, 8(%r3)
        std     %r13, 16(%r3)
        std     %r0, 8(%r1)
        mflr    %r0
        std     %r0, 16(%r1)
#ifdef PORT_DESCRIPTORS
        .irp n, 3, 4, 5, 6, 7, 8, 9, 10
        std     %r\n, 48 + 8 * (\n - 3)(%r1)
        .endr
#endif
#ifdef __ALTIVEC__
        li      %r0, -16
        stvx    %v0, %r1, %r0
#endif
        ld      %r12, 24(%r3)
        through_r12
        bctr
end_function probe_entry

function probe_tls_argument
        blr
end_function probe_tls_argument

function probe_stack_alignment
        li      %r3, 16
        blr
end_function probe_stack_alignment

function probe_property
        li      %r3, 0
        blr
end_function probe_property

function probe_pattern
        mr      %r10, %r3
        li      %r3, 0
        cmplwi  %r10, 14
        bltlr
        cmplwi  %r10, 31
        bgtlr
        pattern %r9
        add     %r3, %r9, %r10
        blr
end_function probe_pattern

function probe_landing_pad
        li      %r3, 0
        blr
end_function probe_landing_pad

/* Offsets into struct Call and struct Entry of lib.rs are multiples of the word, 4 bytes. */
#if defined(__powerpc__) && !defined(__powerpc64__)
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0
#define PORT_PROPERTY_BITS 0
#include "port.h"

#define WORDS 64

.macro pattern register
        lis     \register, 0x5aa5
        ori     \register, \register, 0xc33c
.endm
/* r10 collects every bit that differs from the pattern in r9 plus n */
.macro differs register, n
        addi    %r11, \register, -\n
        xor     %r11, %r11, %r9
        or      %r10, %r10, %r11
.endm

/* The frame: 0 back chain and lr slot, the patterned words, the registers, 8 bytes on the way to
 * floating-point ones, cr, the struct Call. lr is in the caller's slot. */
#define PATTERNED 8
#define GENERAL   (PATTERNED + 4 * WORDS)
#define FLOATING  (GENERAL + 4 * 18)
#define SCRATCH   (FLOATING + 8 * 18)
#define CR        (SCRATCH + 8)
#define CALL      (CR + 4)
#define FRAME     512
function probe_call
        mflr    %r0
        stw     %r0, 4(%r1)
        stwu    %r1, -FRAME(%r1)
        .cfi_def_cfa_offset FRAME
        .cfi_offset lr, 4
        mfcr    %r0
        stw     %r0, CR(%r1)
        .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        stw     %r\n, GENERAL + 4 * (\n - 14)(%r1)
        stfd    %f\n, FLOATING + 8 * (\n - 14)(%r1)
        .endr
        stw     %r3, CALL(%r1)
        stw     %r1, 36(%r3)
        mr      %r8, %r3
        pattern %r9
        li      %r10, WORDS
        mtctr   %r10
        addi    %r10, %r1, PATTERNED - 4
1:      stwu    %r9, 4(%r10)
        bdnz    1b
        mtcrf   0x38, %r9               /* cr2, cr3, cr4 */
        .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        addi    %r\n, %r9, \n
        stw     %r\n, SCRATCH(%r1)
        stw     %r\n, SCRATCH + 4(%r1)
        lfd     %f\n, SCRATCH(%r1)
        .endr
        lwz     %r0, 0(%r8)
        mtctr   %r0
        lwz     %r3, 4(%r8)
        lwz     %r4, 8(%r8)
        lwz     %r5, 12(%r8)
        lwz     %r6, 16(%r8)
        lwz     %r7, 20(%r8)
        lwz     %r9, 28(%r8)
        lwz     %r8, 24(%r8)
        bctrl
        lwz     %r8, CALL(%r1)
        stw     %r3, 32(%r8)
        pattern %r9
        lwz     %r10, 36(%r8)
        xor     %r10, %r10, %r1
        mfcr    %r0
        xor     %r0, %r0, %r9
        rlwinm  %r0, %r0, 0, 8, 19      /* cr2, cr3, cr4 */
        or      %r10, %r10, %r0
        .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        differs %r\n, \n
        stfd    %f\n, SCRATCH(%r1)
        lwz     %r12, SCRATCH(%r1)
        differs %r12, \n
        lwz     %r12, SCRATCH + 4(%r1)
        differs %r12, \n
        .endr
        stw     %r10, 40(%r8)
        lwz     %r10, 0(%r1)            /* the back chain */
        addi    %r11, %r1, FRAME
        xor     %r10, %r10, %r11
        li      %r12, WORDS
        mtctr   %r12
        addi    %r7, %r1, PATTERNED - 4
2:      lwzu    %r12, 4(%r7)
        differs %r12, 0
        bdnz    2b
        stw     %r10, 44(%r8)
        .irp n, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
        lwz     %r\n, GENERAL + 4 * (\n - 14)(%r1)
        lfd     %f\n, FLOATING + 8 * (\n - 14)(%r1)
        .endr
        lwz     %r0, CR(%r1)
        mtcrf   0x38, %r0
        addi    %r1, %r1, FRAME
        .cfi_def_cfa_offset 0
        lwz     %r0, 4(%r1)
        mtlr    %r0
        blr
end_function probe_call

/* The frame pointer of this architecture is the word at SP, which has to be there, as has the callee's
 * place for lr above it. */
function probe_entry
        stw     %r1, 0(%r3)
        lwz     %r0, 0(%r1)
        stw     %r0, 4(%r3)
        stw     %r2, 8(%r3)
        mflr    %r0
        stw     %r0, 4(%r1)
        lwz     %r0, 12(%r3)
        mtctr   %r0
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
        li      %r4, 0
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

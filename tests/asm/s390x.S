/* Offsets into struct Call and struct Entry of lib.rs are multiples of the word, 8 bytes. */
#ifdef __s390x__
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0
#define PORT_PROPERTY_BITS 0
#include "port.h"

#define WORDS 64

.macro pattern register
        llihf   \register, 0x5aa5c33c
        oilf    \register, 0x69960ff0
.endm
/* r5 collects every bit that differs from the pattern in r3 plus n */
.macro differs register, n
        lgr     %r4, \register
        aghi    %r4, -\n
        xgr     %r4, %r3
        ogr     %r5, %r4
.endm

/* The frame: 0 the callee's, 160 the last two arguments, the patterned words, f8-f15, the struct Call.
 * r6-r15 are in the caller's. */
#define PATTERNED 176
#define FLOATING  (PATTERNED + 8 * WORDS)
#define CALL      (FLOATING + 8 * 8)
#define FRAME     (CALL + 8)
function probe_call
        stmg    %r6, %r15, 48(%r15)
        .cfi_offset 14, 112 - 160
        .cfi_offset 15, 120 - 160
        aghi    %r15, -FRAME
        .cfi_def_cfa_offset FRAME + 160
        .irp n, 8, 9, 10, 11, 12, 13, 14, 15
        std     %f\n, FLOATING + 8 * (\n - 8)(%r15)
        .endr
        stg     %r2, CALL(%r15)
        lgr     %r1, %r2
        stg     %r15, 72(%r1)
        pattern %r3
        la      %r4, PATTERNED(%r15)
        lghi    %r5, WORDS
1:      stg     %r3, 0(%r4)
        la      %r4, 8(%r4)
        brctg   %r5, 1b
        .irp n, 8, 9, 10, 11, 12, 13, 14, 15
        lgr     %r4, %r3
        aghi    %r4, \n
        ldgr    %f\n, %r4
        .endr
        .irp n, 7, 8, 9, 10, 11, 12, 13
        lgr     %r\n, %r3
        aghi    %r\n, \n
        .endr
        mvc     160(16, %r15), 48(%r1)
        lg      %r2, 8(%r1)
        lg      %r3, 16(%r1)
        lg      %r4, 24(%r1)
        lg      %r5, 32(%r1)
        lg      %r6, 40(%r1)
        lg      %r1, 0(%r1)
        basr    %r14, %r1
        lg      %r1, CALL(%r15)
        stg     %r2, 64(%r1)
        pattern %r3
        lgr     %r5, %r15
        xg      %r5, 72(%r1)
        lgr     %r4, %r6
        xg      %r4, 40(%r1)            /* call-saved, and an argument */
        ogr     %r5, %r4
        .irp n, 7, 8, 9, 10, 11, 12, 13
        differs %r\n, \n
        .endr
        .irp n, 8, 9, 10, 11, 12, 13, 14, 15
        lgdr    %r0, %f\n
        differs %r0, \n
        .endr
        stg     %r5, 80(%r1)
        lg      %r5, 160(%r15)
        xg      %r5, 48(%r1)
        lg      %r4, 168(%r15)
        xg      %r4, 56(%r1)
        ogr     %r5, %r4
        la      %r2, PATTERNED(%r15)
        lghi    %r14, WORDS
2:      lg      %r0, 0(%r2)
        differs %r0, 0
        la      %r2, 8(%r2)
        brctg   %r14, 2b
        stg     %r5, 88(%r1)
        .irp n, 8, 9, 10, 11, 12, 13, 14, 15
        ld      %f\n, FLOATING + 8 * (\n - 8)(%r15)
        .endr
        lmg     %r6, %r15, FRAME + 48(%r15)
        .cfi_def_cfa_offset 160
        br      %r14
end_function probe_call

/* The frame pointer of this architecture is the word at SP, which has to be there, as has the room for
 * registers above it. */
function probe_entry
        lg      %r0, 0(%r15)
        stg     %r0, 8(%r2)
        stmg    %r2, %r15, 16(%r15)
        std     %f0, 128(%r15)
        std     %f2, 136(%r15)
        std     %f4, 144(%r15)
        std     %f6, 152(%r15)
        stg     %r15, 0(%r2)
        ear     %r0, %a0
        sllg    %r0, %r0, 32
        ear     %r0, %a1
        stg     %r0, 16(%r2)
        lg      %r1, 24(%r2)
        br      %r1
end_function probe_entry

function probe_tls_argument
        br      %r14
end_function probe_tls_argument

function probe_stack_alignment
        lghi    %r2, 8
        br      %r14
end_function probe_stack_alignment

function probe_property
        lghi    %r2, 0
        br      %r14
end_function probe_property

/* r6 has an argument */
function probe_pattern
        lgr     %r1, %r2
        lghi    %r2, 0
        chi     %r1, 7
        blr     %r14                    /* lower */
        chi     %r1, 13
        bhr     %r14                    /* higher */
        pattern %r2
        agr     %r2, %r1
        br      %r14
end_function probe_pattern

function probe_landing_pad
        lghi    %r2, 0
        br      %r14
end_function probe_landing_pad

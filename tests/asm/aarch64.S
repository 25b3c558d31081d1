/* Offsets into struct Call and struct Entry of lib.rs are multiples of the word, 8 bytes. */
#ifdef __aarch64__
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0xc0000000   /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
#define PORT_PROPERTY_BITS 7            /* BTI, PAC, GCS */
#include "port.h"

#define WORDS 64

.macro pattern register
        mov     \register, #0x0ff0
        movk    \register, #0x6996, lsl #16
        movk    \register, #0xc33c, lsl #32
        movk    \register, #0x5aa5, lsl #48
.endm
/* x10 collects every bit that differs from the pattern in x9 plus n */
.macro differs register, n
        sub     x11, \register, #\n
        eor     x11, x11, x9
        orr     x10, x10, x11
.endm

/* The frame: 0 the struct Call, 16 the patterned words, then the registers. */
#define SAVED (16 + 8 * WORDS)
function probe_call
        hint    #34                     /* bti c */
        stp     x29, x30, [sp, #-160]!
        .cfi_def_cfa_offset 160
        .cfi_offset x29, -160
        .cfi_offset x30, -152
        stp     x19, x20, [sp, #16]
        stp     x21, x22, [sp, #32]
        stp     x23, x24, [sp, #48]
        stp     x25, x26, [sp, #64]
        stp     x27, x28, [sp, #80]
        stp     d8, d9, [sp, #96]
        stp     d10, d11, [sp, #112]
        stp     d12, d13, [sp, #128]
        stp     d14, d15, [sp, #144]
        sub     sp, sp, #SAVED
        .cfi_adjust_cfa_offset SAVED
        str     x0, [sp]
        pattern x9
        add     x10, sp, #16
        add     x11, sp, #SAVED
1:      str     x9, [x10], #8
        cmp     x10, x11
        b.ne    1b
        mov     x8, x0
        mov     x10, sp
        str     x10, [x8, #72]
        .irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
        add     x\n, x9, #\n
        .endr
        .irp n, 8, 9, 10, 11, 12, 13, 14, 15
        add     x10, x9, #\n
        fmov    d\n, x10
        .endr
        ldp     x0, x1, [x8, #8]
        ldp     x2, x3, [x8, #24]
        ldp     x4, x5, [x8, #40]
        ldr     x6, [x8, #56]
        ldr     x8, [x8]
        blr     x8
        ldr     x8, [sp]
        str     x0, [x8, #64]
        pattern x9
        mov     x10, sp
        ldr     x11, [x8, #72]
        eor     x10, x10, x11
        .irp n, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29
        differs x\n, \n
        .endr
        .irp n, 8, 9, 10, 11, 12, 13, 14, 15
        fmov    x12, d\n
        differs x12, \n
        .endr
        str     x10, [x8, #80]
        mov     x10, #0
        add     x13, sp, #16
        add     x14, sp, #SAVED
2:      ldr     x12, [x13], #8
        differs x12, 0
        cmp     x13, x14
        b.ne    2b
        str     x10, [x8, #88]
        add     sp, sp, #SAVED
        .cfi_adjust_cfa_offset -SAVED
        ldp     x19, x20, [sp, #16]
        ldp     x21, x22, [sp, #32]
        ldp     x23, x24, [sp, #48]
        ldp     x25, x26, [sp, #64]
        ldp     x27, x28, [sp, #80]
        ldp     d8, d9, [sp, #96]
        ldp     d10, d11, [sp, #112]
        ldp     d12, d13, [sp, #128]
        ldp     d14, d15, [sp, #144]
        ldp     x29, x30, [sp], #160
        .cfi_def_cfa_offset 0
        ret
end_function probe_call

function probe_entry
        hint    #34
        mov     x9, sp
        str     x9, [x0]
        str     x29, [x0, #8]
        mrs     x9, tpidr_el0
        str     x9, [x0, #16]
        str     q0, [sp, #-16]          /* an SP that is not 16-aligned faults as the base of an access */
        ldr     x16, [x0, #24]          /* x16: the register that BTI lets tail calls jump through */
        br      x16
end_function probe_entry

function probe_tls_argument
        hint    #34
        ret
end_function probe_tls_argument

function probe_stack_alignment
        hint    #34
        mov     x0, #16
        ret
end_function probe_stack_alignment

function probe_property
        hint    #34
        mov     x0, #PORT_PROPERTY_TYPE
        movk    x0, #PORT_PROPERTY_BITS, lsl #32
        ret
end_function probe_property

function probe_pattern
        hint    #34
        mov     w10, w0
        sub     w11, w0, #19
        mov     x0, #0
        cmp     w11, #29 - 19
        b.hi    1f                      /* not one of x19 to x29 */
        pattern x9
        add     x0, x9, x10
1:      ret
end_function probe_pattern

function probe_landing_pad
        hint    #34
        mov     w0, #0x245f             /* bti c */
        movk    w0, #0xd503, lsl #16
        ret
end_function probe_landing_pad

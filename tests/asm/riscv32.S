/* Offsets into struct Call and struct Entry of lib.rs are multiples of the word, 4 bytes. */
#if defined(__riscv) && __riscv_xlen == 32
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0xc0000000   /* GNU_PROPERTY_RISCV_FEATURE_1_AND */
/* claimed only when the compiler is asked for it */
#ifdef __riscv_landing_pad_unlabeled
# define PROPERTY_LANDING_PAD 1
#else
# define PROPERTY_LANDING_PAD 0
#endif
#ifdef __riscv_shadow_stack
# define PROPERTY_SHADOW_STACK 2
#else
# define PROPERTY_SHADOW_STACK 0
#endif
#define PORT_PROPERTY_BITS (PROPERTY_LANDING_PAD | PROPERTY_SHADOW_STACK)
#include "port.h"

#define PATTERN 0x5aa5c33c
#define WORDS   64

/* t1 collects every bit that differs from the pattern in t0 plus n */
.macro differs register, n
        addi    t2, \register, -\n
        xor     t2, t2, t0
        or      t1, t1, t2
.endm

/* The frame: 0 the struct Call, 8 a double on its way to or from an FP register, 16 the patterned words, then
 * ra, s0-s11 and fs0-fs11. */
#define SAVED (16 + 4 * WORDS)
#define FRAME (SAVED + 160)
function probe_call
        addi    sp, sp, -FRAME
        .cfi_def_cfa_offset FRAME
        sw      ra, SAVED(sp)
        .cfi_offset ra, SAVED - FRAME
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        sw      s\n, SAVED + 4 + 4 * \n(sp)
        .endr
#ifdef __riscv_float_abi_double
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        fsd     fs\n, SAVED + 56 + 8 * \n(sp)
        .endr
#endif
        sw      a0, 0(sp)
        li      t0, PATTERN
        addi    t1, sp, 16
        addi    t2, sp, SAVED
1:      sw      t0, 0(t1)
        addi    t1, t1, 4
        bne     t1, t2, 1b
        mv      t3, a0
        sw      sp, 36(t3)
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        addi    s\n, t0, 1 + \n
        .endr
#ifdef __riscv_float_abi_double
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        sw      s\n, 8(sp)
        sw      s\n, 12(sp)
        fld     fs\n, 8(sp)
        .endr
#endif
        lw      a0, 4(t3)
        lw      a1, 8(t3)
        lw      a2, 12(t3)
        lw      a3, 16(t3)
        lw      a4, 20(t3)
        lw      a5, 24(t3)
        lw      a6, 28(t3)
        lw      t3, 0(t3)
        jalr    t3
        lw      t3, 0(sp)
        sw      a0, 32(t3)
        li      t0, PATTERN
        lw      t1, 36(t3)
        xor     t1, t1, sp
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        differs s\n, (1 + \n)
        .endr
#ifdef __riscv_float_abi_double
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        fsd     fs\n, 8(sp)
        lw      t4, 8(sp)
        differs t4, (1 + \n)
        lw      t4, 12(sp)
        differs t4, (1 + \n)
        .endr
#endif
        sw      t1, 40(t3)
        li      t1, 0
        addi    t5, sp, 16
        addi    t6, sp, SAVED
2:      lw      t4, 0(t5)
        differs t4, 0
        addi    t5, t5, 4
        bne     t5, t6, 2b
        sw      t1, 44(t3)
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        lw      s\n, SAVED + 4 + 4 * \n(sp)
        .endr
#ifdef __riscv_float_abi_double
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        fld     fs\n, SAVED + 56 + 8 * \n(sp)
        .endr
#endif
        lw      ra, SAVED(sp)
        addi    sp, sp, FRAME
        .cfi_def_cfa_offset 0
        ret
end_function probe_call

function probe_entry
        sw      sp, 0(a0)
        sw      s0, 4(a0)
        sw      tp, 8(a0)
        lw      t3, 12(a0)
        jr      t3
end_function probe_entry

function probe_tls_argument
        ret
end_function probe_tls_argument

function probe_stack_alignment
        li      a0, 16
        ret
end_function probe_stack_alignment

function probe_property
        li      a0, PORT_PROPERTY_TYPE
        li      a1, PORT_PROPERTY_BITS
        ret
end_function probe_property

/* s0 and s1 are x8 and x9, s2 to s11 are x18 to x27 */
function probe_pattern
        mv      t1, a0
        li      a0, 0
        addi    t2, t1, -8              /* the n of s0 and s1 */
        sltiu   t3, t2, 2
        bnez    t3, 1f
        addi    t2, t1, -16             /* the n of s2 to s11 */
        addi    t3, t1, -18
        sltiu   t3, t3, 10
        beqz    t3, 2f
1:      li      t0, PATTERN
        add     a0, t0, t2
        addi    a0, a0, 1
2:      ret
end_function probe_pattern

function probe_landing_pad
        li      a0, 0x17                /* lpad 0 */
        ret
end_function probe_landing_pad

/* Offsets into struct Call and struct Entry of lib.rs are multiples of the word, 8 bytes. */
#if defined(__riscv) && __riscv_xlen == 64
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

#define PATTERN 0x5aa5c33c69960ff0
#define WORDS   64

/* t1 collects every bit that differs from the pattern in t0 plus n */
.macro differs register, n
        addi    t2, \register, -\n
        xor     t2, t2, t0
        or      t1, t1, t2
.endm

/* The frame: 0 the struct Call, 16 the patterned words, then ra, s0-s11 and fs0-fs11. */
#define SAVED (16 + 8 * WORDS)
#define FRAME (SAVED + 208)
function probe_call
        addi    sp, sp, -FRAME
        .cfi_def_cfa_offset FRAME
        sd      ra, SAVED(sp)
        .cfi_offset ra, SAVED - FRAME
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        sd      s\n, SAVED + 8 + 8 * \n(sp)
        fsd     fs\n, SAVED + 104 + 8 * \n(sp)
        .endr
        sd      a0, 0(sp)
        li      t0, PATTERN
        addi    t1, sp, 16
        addi    t2, sp, SAVED
1:      sd      t0, 0(t1)
        addi    t1, t1, 8
        bne     t1, t2, 1b
        mv      t3, a0
        sd      sp, 72(t3)
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        addi    s\n, t0, 1 + \n
        fmv.d.x fs\n, s\n
        .endr
        ld      a0, 8(t3)
        ld      a1, 16(t3)
        ld      a2, 24(t3)
        ld      a3, 32(t3)
        ld      a4, 40(t3)
        ld      a5, 48(t3)
        ld      a6, 56(t3)
        ld      t3, 0(t3)
        jalr    t3
        ld      t3, 0(sp)
        sd      a0, 64(t3)
        li      t0, PATTERN
        ld      t1, 72(t3)
        xor     t1, t1, sp
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        differs s\n, (1 + \n)
        fmv.x.d t4, fs\n
        differs t4, (1 + \n)
        .endr
        sd      t1, 80(t3)
        li      t1, 0
        addi    t5, sp, 16
        addi    t6, sp, SAVED
2:      ld      t4, 0(t5)
        differs t4, 0
        addi    t5, t5, 8
        bne     t5, t6, 2b
        sd      t1, 88(t3)
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11
        ld      s\n, SAVED + 8 + 8 * \n(sp)
        fld     fs\n, SAVED + 104 + 8 * \n(sp)
        .endr
        ld      ra, SAVED(sp)
        addi    sp, sp, FRAME
        .cfi_def_cfa_offset 0
        ret
end_function probe_call

function probe_entry
        sd      sp, 0(a0)
        sd      s0, 8(a0)
        sd      tp, 16(a0)
        ld      t3, 24(a0)
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
        li      a0, (PORT_PROPERTY_BITS << 32) + PORT_PROPERTY_TYPE
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

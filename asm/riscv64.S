/* riscv64. What differs from x86_64.S: nothing needs the stack, so the parent has no frame and
 * nothing to restore.
 *
 * clone_trampoline      C call                kernel
 *   number                                    a7   220
 *   fn                  a0                    -         kept in t3
 *   stack_top           a1                    a1
 *   flags               a2                    a0
 *   arg                 a3                    -         kept in t4
 *   parent_tid          a4                    a2
 *   tls                 a5                    a3
 *   child_tid           a6                    a4
 *
 * clone3_trampoline     C call                kernel
 *   number                                    a7   435
 *   args                a0                    a0
 *   size                a1                    a1
 *   fn                  a2                    -         kept in t3
 *   arg                 a3                    -         kept in t4
 *
 * The trap destroys a0 only (and the vector state, as any call does). fn is not in ra, t0 or t2: a
 * jump through those is a return, or not checked, in the eyes of Zicfilp. */

#ifndef PORT_XLEN
# define PORT_XLEN 64                   /* riscv32.S includes this file */
#endif
#if defined(__riscv) && __riscv_xlen == PORT_XLEN
# define PORT_COMPILER_MATCHES
#endif

/* GNU_PROPERTY_RISCV_FEATURE_1_AND. Unlike x86's and Arm's, its bits are claimed only when the compiler
 * is asked for them: lld refuses to link the two schemes of landing pads with each other. */
#define PORT_PROPERTY_TYPE 0xc0000000
#ifdef __riscv_landing_pad_unlabeled
# define PROPERTY_LANDING_PAD 1         /* CFI_LP_UNLABELED: every entry is an lpad 0 */
#else
# define PROPERTY_LANDING_PAD 0
#endif
#ifdef __riscv_shadow_stack
# define PROPERTY_SHADOW_STACK 2        /* CFI_SS: ra is never stored, and no ret but to a call */
#else
# define PROPERTY_SHADOW_STACK 0
#endif
#define PORT_PROPERTY_BITS (PROPERTY_LANDING_PAD | PROPERTY_SHADOW_STACK)
#include "port.h"

#define NR_exit   93
#define NR_munmap 215
#define NR_clone  220
#define NR_clone3 435

#define LPAD auipc zero, 0              /* lpad 0 in every assembler's words, a NOP on older cores */

.macro child
        child_begins ra
        li      s0, 0
        andi    sp, sp, -16
        mv      a0, t4
        jalr    t3
        li      a7, NR_exit             /* the status is where exit wants it */
        ecall
        ebreak
.endm

function clone_trampoline
        LPAD
        beqz    a0, .Lclone_invalid
        bnez    a1, .Lclone_stack_is_right
        li      t0, CLONE_VM | CLONE_VFORK
        and     t0, t0, a2
        li      t1, CLONE_VM
        beq     t0, t1, .Lclone_invalid
.Lclone_stack_is_right:
        mv      t3, a0
        mv      t4, a3
        mv      a0, a2
        mv      a2, a4
        mv      a3, a5
        mv      a4, a6
        li      a7, NR_clone
        ecall
        beqz    a0, .Lclone_child
        ret
.Lclone_invalid:
        li      a0, -EINVAL
        ret
.Lclone_child:
        child
end_function clone_trampoline

function clone3_trampoline
        LPAD
        beqz    a0, .Lclone3_invalid
        beqz    a2, .Lclone3_invalid
        mv      t3, a2
        mv      t4, a3
        li      a7, NR_clone3
        ecall
        beqz    a0, .Lclone3_child
        ret
.Lclone3_invalid:
        li      a0, -EINVAL
        ret
.Lclone3_child:
        child
end_function clone3_trampoline

function unmap_exit_trampoline
        LPAD
        li      a7, NR_munmap
        ecall
        .cfi_undefined ra
        mv      a0, a2
        li      a7, NR_exit
        ecall
        ebreak
end_function unmap_exit_trampoline

/* C13 */
function clone_trampoline_syscall
        LPAD
        mv      a7, a0
        mv      a0, a1
        mv      a1, a2
        mv      a2, a3
        mv      a3, a4
        mv      a4, a5
        mv      a5, a6
        ecall
        ret
end_function clone_trampoline_syscall

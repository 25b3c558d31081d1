/* mips, the o32 ABI, either byte order; mips32r6.S is the same. What differs from x86_64.S: the fifth
 * argument is on the stack, above 16 bytes that every callee may use as its own; the kernel flags an
 * error beside a positive errno; fn is called through t9.
 *
 * clone_trampoline      C call                kernel
 *   number                                    v0   4120
 *   fn                  a0                    -         kept in t9
 *   stack_top           a1                    a1
 *   flags               a2                    a0
 *   arg                 a3                    -         kept in s0
 *   parent_tid          16(sp)                a2
 *   tls                 20(sp)                a3
 *   child_tid           24(sp)                16(sp)
 *
 * clone3_trampoline     C call                kernel
 *   number                                    v0   4435
 *   args                a0                    a0
 *   size                a1                    a1
 *   fn                  a2                    -         kept in t9
 *   arg                 a3                    -         kept in a2
 *
 * The result is in v0. a3 is 0, or v0 has an errno (positive). The child finds a0-a2, s0-s7, t9, gp,
 * sp, fp and ra as the parent left them: a 32-bit kernel saves those at every system call, and the rest
 * only sometimes. */

#if defined(__mips__) && _MIPS_SIM == _ABIO32
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0            /* the architecture defines no hardening notes */
#define PORT_PROPERTY_BITS 0
#include "port.h"

#define NR_exit   4001
#define NR_munmap 4091
#define NR_clone  4120
#define NR_clone3 4435

/* The kernel reads the four words at 16(sp) at every system call, however many arguments it has. */
#define SYSCALL_FRAME 32

        .set    nomips16                /* whatever the compiler was told: callers of either encoding */
        .set    nomicromips             /* look at the symbol */
        .set    reorder                 /* the assembler fills the delay slots */

.macro child arg
        child_begins 31
        move    $fp, $zero
        li      $v0, -8
        and     $sp, $sp, $v0
        addiu   $sp, $sp, -SYSCALL_FRAME        /* C4, C5: fn may write 16 bytes above its SP */
        move    $a0, \arg
        jalr    $t9                     /* t9: position-independent code finds its gp from it */
        move    $a0, $v0
        li      $v0, NR_exit
        syscall
        break
.endm

#define SAVED_S0 SYSCALL_FRAME
#define FRAME    (SYSCALL_FRAME + 8)

function clone_trampoline
        beqz    $a0, .Lclone_invalid
        bnez    $a1, .Lclone_stack_is_right
        andi    $v0, $a2, CLONE_VM | CLONE_VFORK
        li      $v1, CLONE_VM
        beq     $v0, $v1, .Lclone_invalid
.Lclone_stack_is_right:
        addiu   $sp, $sp, -FRAME        /* child_tid goes to 16(sp), where the caller's parent_tid is: */
        .cfi_adjust_cfa_offset FRAME    /* that is the caller's memory (C1) */
        sw      $s0, SAVED_S0($sp)
        .cfi_rel_offset 16, SAVED_S0
        move    $t9, $a0
        move    $s0, $a3
        move    $a0, $a2
        lw      $a2, FRAME + 16($sp)
        lw      $a3, FRAME + 20($sp)
        lw      $v0, FRAME + 24($sp)
        sw      $v0, 16($sp)
        li      $v0, NR_clone
        syscall
        beqz    $v0, .Lclone_child      /* no errno is 0 */
        lw      $s0, SAVED_S0($sp)
        .cfi_restore 16
        addiu   $sp, $sp, FRAME
        .cfi_adjust_cfa_offset -FRAME
        beqz    $a3, .Lclone_result
        subu    $v0, $zero, $v0
.Lclone_result:
        jr      $ra
.Lclone_invalid:
        li      $v0, -EINVAL
        jr      $ra
.Lclone_child:
        child   $s0
end_function clone_trampoline

function clone3_trampoline
        beqz    $a0, .Lclone3_invalid
        beqz    $a2, .Lclone3_invalid
        move    $t9, $a2
        move    $a2, $a3
        li      $v0, NR_clone3
        syscall
        beqz    $v0, .Lclone3_child
        beqz    $a3, .Lclone3_result
        subu    $v0, $zero, $v0
.Lclone3_result:
        jr      $ra
.Lclone3_invalid:
        li      $v0, -EINVAL
        jr      $ra
.Lclone3_child:
        child   $a2
end_function clone3_trampoline

function unmap_exit_trampoline
        li      $v0, NR_munmap
        syscall
        .cfi_undefined 31
        bal     1f                      /* for the kernels that read 16(sp) to 31(sp) and answer EFAULT where */
1:      addiu   $sp, $ra, -16           /* nothing is, a stack that stays: these four instructions, only read */
        move    $a0, $a2
        li      $v0, NR_exit
        syscall
        break
end_function unmap_exit_trampoline

/* C13. The kernel's fifth and sixth argument are on the stack, where the caller has its own. */
function clone_trampoline_syscall
        addiu   $sp, $sp, -SYSCALL_FRAME
        .cfi_adjust_cfa_offset SYSCALL_FRAME
        lw      $v0, SYSCALL_FRAME + 20($sp)
        lw      $v1, SYSCALL_FRAME + 24($sp)
        sw      $v0, 16($sp)
        sw      $v1, 20($sp)
        move    $v0, $a0
        move    $a0, $a1
        move    $a1, $a2
        move    $a2, $a3
        lw      $a3, SYSCALL_FRAME + 16($sp)
        syscall
        addiu   $sp, $sp, SYSCALL_FRAME
        .cfi_adjust_cfa_offset -SYSCALL_FRAME
        beqz    $a3, .Lsyscall_result
        subu    $v0, $zero, $v0
.Lsyscall_result:
        jr      $ra
end_function clone_trampoline_syscall

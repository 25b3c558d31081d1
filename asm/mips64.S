/* mips64, the n64 ABI, either byte order; mips64r6.S is the same. What differs from x86_64.S: nothing
 * needs the stack, so the parent has no frame and nothing to restore; the kernel flags an error beside
 * a positive errno; fn is called through t9.
 *
 * clone_trampoline      C call                kernel
 *   number                                    v0   5055
 *   fn                  a0                    -         kept in t9
 *   stack_top           a1                    a1
 *   flags               a2                    a0
 *   arg                 a3                    -         kept in a5
 *   parent_tid          a4                    a2
 *   tls                 a5                    a3
 *   child_tid           a6                    a4
 *
 * clone3_trampoline     C call                kernel
 *   number                                    v0   5435
 *   args                a0                    a0
 *   size                a1                    a1
 *   fn                  a2                    -         kept in t9
 *   arg                 a3                    -         kept in a5
 *
 * The result is in v0. a3 is 0, or v0 has an errno (positive). The child finds a0-a2, a4, a5, s0-s7,
 * t9, gp, sp, fp and ra as the parent left them: a 64-bit kernel saves those at every system call, and
 * the rest only sometimes. */

#if defined(__mips64) && _MIPS_SIM == _ABI64
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0            /* the architecture defines no hardening notes */
#define PORT_PROPERTY_BITS 0
#include "port.h"

#define NR_munmap 5011
#define NR_clone  5055
#define NR_exit   5058
#define NR_clone3 5435

        .set    nomips16                /* whatever the compiler was told: callers of either encoding */
        .set    nomicromips             /* look at the symbol */
        .set    reorder                 /* the assembler fills the delay slots */

.macro child
        child_begins 31
        move    $fp, $zero
        li      $v0, -16
        and     $sp, $sp, $v0
        move    $a0, $a5
        jalr    $t9                     /* t9: position-independent code finds its gp from it */
        move    $a0, $v0
        li      $v0, NR_exit
        syscall
        break
.endm

function clone_trampoline
        beqz    $a0, .Lclone_invalid
        bnez    $a1, .Lclone_stack_is_right
        andi    $v0, $a2, CLONE_VM | CLONE_VFORK
        li      $v1, CLONE_VM
        beq     $v0, $v1, .Lclone_invalid
.Lclone_stack_is_right:
        move    $t9, $a0
        move    $v1, $a3
        move    $a3, $a5
        move    $a5, $v1
        move    $a0, $a2
        move    $a2, $a4
        move    $a4, $a6
        li      $v0, NR_clone
        syscall
        beqz    $v0, .Lclone_child      /* no errno is 0 */
        beqz    $a3, .Lclone_result
        dsubu   $v0, $zero, $v0
.Lclone_result:
        jr      $ra
.Lclone_invalid:
        li      $v0, -EINVAL
        jr      $ra
.Lclone_child:
        child
end_function clone_trampoline

function clone3_trampoline
        beqz    $a0, .Lclone3_invalid
        beqz    $a2, .Lclone3_invalid
        move    $t9, $a2
        move    $a5, $a3
        li      $v0, NR_clone3
        syscall
        beqz    $v0, .Lclone3_child
        beqz    $a3, .Lclone3_result
        dsubu   $v0, $zero, $v0
.Lclone3_result:
        jr      $ra
.Lclone3_invalid:
        li      $v0, -EINVAL
        jr      $ra
.Lclone3_child:
        child
end_function clone3_trampoline

function unmap_exit_trampoline
        li      $v0, NR_munmap
        syscall
        .cfi_undefined 31
        move    $a0, $a2
        li      $v0, NR_exit
        syscall
        break
end_function unmap_exit_trampoline

/* C13 */
function clone_trampoline_syscall
        move    $v0, $a0
        move    $a0, $a1
        move    $a1, $a2
        move    $a2, $a3
        move    $a3, $a4
        move    $a4, $a5
        move    $a5, $a6
        syscall
        beqz    $a3, .Lsyscall_result
        dsubu   $v0, $zero, $v0
.Lsyscall_result:
        jr      $ra
end_function clone_trampoline_syscall

/* loongarch64. What differs from x86_64.S: nothing needs the stack, so the parent has no frame and
 * nothing to restore; and the kernel loses t0 to t8, so fn and arg reach the child in the argument
 * registers that its call leaves free.
 *
 * clone_trampoline      C call                kernel
 *   number                                    a7   220
 *   fn                  a0                    -         kept in a5
 *   stack_top           a1                    a1
 *   flags               a2                    a0
 *   arg                 a3                    -         kept in a6
 *   parent_tid          a4                    a2
 *   tls                 a5                    a4        after child_tid, as on x86_64
 *   child_tid           a6                    a3
 *
 * clone3_trampoline     C call                kernel
 *   number                                    a7   435
 *   args                a0                    a0
 *   size                a1                    a1
 *   fn                  a2                    -         stays in a2
 *   arg                 a3                    -         stays in a3
 *
 * The trap destroys a0 and t0 to t8 (and the vector state beyond the floating-point registers, as any
 * call does). */

#if defined(__loongarch__) && __loongarch_grlen == 64
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0            /* none is defined */
#define PORT_PROPERTY_BITS 0
#include "port.h"

#define NR_exit   93
#define NR_munmap 215
#define NR_clone  220
#define NR_clone3 435

.macro child fn, arg
        child_begins 1                  /* ra, by the only name that all assemblers know here */
        move    $fp, $zero
        bstrins.d $sp, $zero, 3, 0      /* C5: bits 3 to 0, as a mask has no immediate */
        move    $a0, \arg
        jirl    $ra, \fn, 0
        li.w    $a7, NR_exit            /* the status is where exit wants it */
        syscall 0
        break   0
.endm

function clone_trampoline
        beqz    $a0, .Lclone_invalid
        bnez    $a1, .Lclone_stack_is_right
        li.w    $t0, CLONE_VM | CLONE_VFORK
        and     $t0, $t0, $a2
        li.w    $t1, CLONE_VM
        beq     $t0, $t1, .Lclone_invalid
.Lclone_stack_is_right:
        move    $t0, $a0
        move    $t1, $a3
        move    $a0, $a2
        move    $a2, $a4
        move    $a3, $a6
        move    $a4, $a5
        move    $a5, $t0
        move    $a6, $t1
        li.w    $a7, NR_clone
        syscall 0
        beqz    $a0, .Lclone_child
        ret
.Lclone_invalid:
        li.w    $a0, -EINVAL
        ret
.Lclone_child:
        child   $a5, $a6
end_function clone_trampoline

function clone3_trampoline
        beqz    $a0, .Lclone3_invalid
        beqz    $a2, .Lclone3_invalid
        li.w    $a7, NR_clone3
        syscall 0
        beqz    $a0, .Lclone3_child
        ret
.Lclone3_invalid:
        li.w    $a0, -EINVAL
        ret
.Lclone3_child:
        child   $a2, $a3
end_function clone3_trampoline

function unmap_exit_trampoline
        li.w    $a7, NR_munmap
        syscall 0
        .cfi_undefined 1
        move    $a0, $a2
        li.w    $a7, NR_exit
        syscall 0
        break   0
end_function unmap_exit_trampoline

/* C13 */
function clone_trampoline_syscall
        move    $a7, $a0
        move    $a0, $a1
        move    $a1, $a2
        move    $a2, $a3
        move    $a3, $a4
        move    $a4, $a5
        move    $a5, $a6
        syscall 0
        ret
end_function clone_trampoline_syscall

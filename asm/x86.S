/* i386. What differs from x86_64.S: the C arguments are on the stack, and clone needs every register
 * but ebp, so fn and arg reach its child on the stack.
 *
 * clone_trampoline      C call                kernel
 *   number                                    eax  120
 *   fn                  4(esp)                -         on the child's stack
 *   stack_top           8(esp)                ecx
 *   flags               12(esp)               ebx
 *   arg                 16(esp)               -         on the child's stack
 *   parent_tid          20(esp)               edx
 *   tls                 24(esp)               esi       struct user_desc * (C9)
 *   child_tid           28(esp)               edi
 *
 * clone3_trampoline     C call                kernel
 *   number                                    eax  435
 *   args                4(esp)                ebx
 *   size                8(esp)                ecx
 *   fn                  12(esp)               -         kept in edx
 *   arg                 16(esp)               -         kept in esi
 *
 * The trap destroys eax only. It is int $0x80 and never the vDSO's entry, which pushes on one stack
 * and pops on the other: the child has a new one. */

#ifdef __i386__
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0xc0000002   /* GNU_PROPERTY_X86_FEATURE_1_AND */
/* Before the Pentium Pro endbr32 is no NOP but an invalid instruction. */
#if defined(__i486__) || defined(__i586__) || defined(__k6__) || defined(__geode__)
# define PORT_PROPERTY_BITS 0
# define LANDING_PAD
#else
# define PORT_PROPERTY_BITS 3           /* IBT, SHSTK */
# define LANDING_PAD endbr32
#endif
#include "port.h"

        .att_syntax                     /* a compiler that is told -masm=intel begins in the other one */

#define NR_exit   1
#define NR_munmap 91
#define NR_clone  120
#define NR_clone3 435

.macro save register
        pushl   %\register
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset \register, 0
.endm

.macro restore register
        popl    %\register
        .cfi_adjust_cfa_offset -4
        .cfi_restore \register
.endm

.macro child fn, arg
        xorl    %ebp, %ebp
        andl    $-16, %esp
        subl    $12, %esp               /* C5: 16-aligned with the argument pushed */
        pushl   \arg
        call    *\fn
        movl    %eax, %ebx
        movl    $NR_exit, %eax
        int     $0x80
        hlt
.endm

function clone_trampoline
        LANDING_PAD
        cmpl    $0, 4(%esp)
        je      .Lclone_invalid
        movl    8(%esp), %ecx
        testl   %ecx, %ecx
        jnz     .Lclone_stack_is_right
        movl    12(%esp), %eax
        andl    $(CLONE_VM | CLONE_VFORK), %eax
        cmpl    $CLONE_VM, %eax
        je      .Lclone_invalid
.Lclone_stack_is_right:
        save    ebx
        save    esi
        save    edi
        movl    16(%esp), %eax          /* fn: each argument is 12 bytes further up now */
        movl    28(%esp), %edx          /* arg */
        subl    $8, %esp                /* the two words that the child pops, for a child on this */
        .cfi_adjust_cfa_offset 8        /* stack; the parent does not read them again (C4) */
        movl    %eax, (%esp)
        movl    %edx, 4(%esp)
        testl   %ecx, %ecx
        jz      .Lclone_trap
        subl    $8, %ecx                /* the same two words at the top of a stack of its own; no */
        movl    %eax, (%ecx)            /* byte at or above stack_top is written (C5) */
        movl    %edx, 4(%ecx)
.Lclone_trap:
        movl    32(%esp), %ebx
        movl    40(%esp), %edx
        movl    44(%esp), %esi
        movl    48(%esp), %edi
        movl    $NR_clone, %eax
        int     $0x80
        testl   %eax, %eax
        jz      .Lclone_child
        addl    $8, %esp
        .cfi_adjust_cfa_offset -8
        restore edi
        restore esi
        restore ebx
        ret
.Lclone_invalid:
        movl    $-EINVAL, %eax
        ret
.Lclone_child:
        child_begins eip
        popl    %eax
        popl    %ecx
        child   %eax, %ecx
end_function clone_trampoline

function clone3_trampoline
        LANDING_PAD
        movl    12(%esp), %edx
        testl   %edx, %edx
        jz      .Lclone3_invalid
        cmpl    $0, 4(%esp)
        je      .Lclone3_invalid
        save    ebx
        save    esi
        movl    12(%esp), %ebx
        movl    16(%esp), %ecx
        movl    24(%esp), %esi
        movl    $NR_clone3, %eax
        int     $0x80
        testl   %eax, %eax
        jz      .Lclone3_child
        restore esi
        restore ebx
        ret
.Lclone3_invalid:
        movl    $-EINVAL, %eax
        ret
.Lclone3_child:
        child_begins eip
        child   %edx, %esi
end_function clone3_trampoline

function unmap_exit_trampoline
        LANDING_PAD
        movl    4(%esp), %ebx
        movl    8(%esp), %ecx
        movl    12(%esp), %esi          /* read before the stack goes; call-saved, but nobody returns */
        movl    $NR_munmap, %eax
        int     $0x80
        .cfi_undefined eip
        movl    %esi, %ebx
        movl    $NR_exit, %eax
        int     $0x80
        hlt
end_function unmap_exit_trampoline

/* C13. The sixth argument is in ebp. */
function clone_trampoline_syscall
        LANDING_PAD
        save    ebx
        save    esi
        save    edi
        save    ebp
        movl    20(%esp), %eax
        movl    24(%esp), %ebx
        movl    28(%esp), %ecx
        movl    32(%esp), %edx
        movl    36(%esp), %esi
        movl    40(%esp), %edi
        movl    44(%esp), %ebp
        int     $0x80
        restore ebp
        restore edi
        restore esi
        restore ebx
        ret
end_function clone_trampoline_syscall

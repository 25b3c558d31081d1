/* powerpc64, either byte order, ELFv2 and ELFv1 (which the byte order does not tell). What differs from
 * x86_64.S: the kernel flags an error and gives a positive errno; of the general registers that a call
 * may destroy none reaches the child, so fn and arg are in call-saved ones, saved in the parent's frame.
 *
 * clone_trampoline      C call                kernel
 *   number                                    r0   120
 *   fn                  r3                    -         kept in r30
 *   stack_top           r4                    r4
 *   flags               r5                    r3
 *   arg                 r6                    -         kept in r31
 *   parent_tid          r7                    r5
 *   tls                 r8                    r6
 *   child_tid           r9                    r7
 *
 * clone3_trampoline     C call                kernel
 *   number                                    r0   435
 *   args                r3                    r3
 *   size                r4                    r4
 *   fn                  r5                    -         kept in r30
 *   arg                 r6                    -         kept in r31
 *
 * The trap destroys r0, r3 (the result, or the errno when cr0.so is set), r4-r12, ctr, xer and cr0; lr
 * survives, so it is never stored, and the ROP protection's hashst and hashchk have nothing to keep.
 * It is sc and not scv 0, which older processors and kernels do not have. r2 is not used: the functions
 * have one entry for callers near and far. */

#ifdef __powerpc64__
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0            /* none is defined */
#define PORT_PROPERTY_BITS 0
#if defined(_CALL_ELF) && _CALL_ELF == 2
        .abiversion 2
# define CHILD_FRAME 32                 /* back chain, CR, LR and TOC slots */
#else
# define PORT_DESCRIPTORS
# define CHILD_FRAME 112                /* six slots, and the area where a callee may store its arguments */
#endif
#include "port.h"

#define NR_exit   1
#define NR_munmap 91
#define NR_clone  120
#define NR_clone3 435

#define FRAME 64                        /* the larger header, ELFv1's 48 bytes, and two registers */

.macro save_r30_and_r31
        stdu    %r1, -FRAME(%r1)        /* a frame and not the red zone, which a child on this stack */
        .cfi_def_cfa_offset FRAME       /* overwrites (C4) */
        std     %r30, 48(%r1)
        .cfi_offset 30, 48 - FRAME
        std     %r31, 56(%r1)
        .cfi_offset 31, 56 - FRAME
.endm

.macro restore_and_return
        ld      %r30, 48(%r1)
        .cfi_restore 30
        ld      %r31, 56(%r1)
        .cfi_restore 31
        addi    %r1, %r1, FRAME
        .cfi_def_cfa_offset 0
        bnslr                           /* cr0.so, still the trap's: C1 wants a negative errno */
        neg     %r3, %r3
        blr
.endm

.macro child
        child_begins lr
        clrrdi  %r1, %r1, 4
        li      %r0, 0
        stdu    %r0, -CHILD_FRAME(%r1)  /* C8: the back chain ends here. C5: fn stores lr above its SP */
#ifdef PORT_DESCRIPTORS
        ld      %r0, 0(%r30)
        ld      %r2, 8(%r30)
        ld      %r11, 16(%r30)
        mtctr   %r0
#else
        mr      %r12, %r30              /* where fn looks for its own address, to compute r2 */
        mtctr   %r12
#endif
        mr      %r3, %r31
        bctrl
        li      %r0, NR_exit            /* the status is where exit wants it */
        sc
        trap
.endm

function clone_trampoline
        cmpdi   %r3, 0
        beq     .Lclone_invalid
        cmpdi   %r4, 0
        bne     .Lclone_stack_is_right
        andi.   %r0, %r5, CLONE_VM | CLONE_VFORK
        cmpdi   %r0, CLONE_VM
        beq     .Lclone_invalid
.Lclone_stack_is_right:
        save_r30_and_r31
        mr      %r30, %r3
        mr      %r31, %r6
        mr      %r3, %r5
        mr      %r5, %r7
        mr      %r6, %r8
        mr      %r7, %r9
        li      %r0, NR_clone
        sc
        cmpdi   %cr1, %r3, 0            /* not cr0, which says whether r3 is an errno */
        beq     %cr1, .Lclone_child
        restore_and_return
.Lclone_invalid:
        li      %r3, -EINVAL
        blr
.Lclone_child:
        child
end_function clone_trampoline

function clone3_trampoline
        cmpdi   %r3, 0
        beq     .Lclone3_invalid
        cmpdi   %r5, 0
        beq     .Lclone3_invalid
        save_r30_and_r31
        mr      %r30, %r5
        mr      %r31, %r6
        li      %r0, NR_clone3
        sc
        cmpdi   %cr1, %r3, 0
        beq     %cr1, .Lclone3_child
        restore_and_return
.Lclone3_invalid:
        li      %r3, -EINVAL
        blr
.Lclone3_child:
        child
end_function clone3_trampoline

function unmap_exit_trampoline
        mr      %r31, %r5               /* call-saved, as the trap keeps no other; nobody returns */
        li      %r0, NR_munmap
        sc
        .cfi_undefined lr
        mr      %r3, %r31
        li      %r0, NR_exit
        sc
        trap
end_function unmap_exit_trampoline

/* C13. lr survives the trap, and nothing else is needed. */
function clone_trampoline_syscall
        mr      %r0, %r3
        mr      %r3, %r4
        mr      %r4, %r5
        mr      %r5, %r6
        mr      %r6, %r7
        mr      %r7, %r8
        mr      %r8, %r9
        sc
        bnslr
        neg     %r3, %r3
        blr
end_function clone_trampoline_syscall

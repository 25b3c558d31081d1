/* powerpc, 32 bits. What differs from powerpc64.S: words of 4 bytes, a smaller header of the frame, the
 * lr slot at 4(r1), no descriptors, and r2 is the thread pointer. There is no red zone at all.
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
 * survives, so it is never stored. */

#if defined(__powerpc__) && !defined(__powerpc64__)
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0            /* none is defined */
#define PORT_PROPERTY_BITS 0
#include "port.h"

#define NR_exit   1
#define NR_munmap 91
#define NR_clone  120
#define NR_clone3 435

#define FRAME       16                  /* back chain, lr slot, two registers */
#define CHILD_FRAME 16                  /* back chain, lr slot; a multiple of the alignment */

.macro save_r30_and_r31
        stwu    %r1, -FRAME(%r1)
        .cfi_def_cfa_offset FRAME
        stw     %r30, 8(%r1)
        .cfi_offset 30, 8 - FRAME
        stw     %r31, 12(%r1)
        .cfi_offset 31, 12 - FRAME
.endm

.macro restore_and_return
        lwz     %r30, 8(%r1)
        .cfi_restore 30
        lwz     %r31, 12(%r1)
        .cfi_restore 31
        addi    %r1, %r1, FRAME
        .cfi_def_cfa_offset 0
        bnslr                           /* cr0.so, still the trap's: C1 wants a negative errno */
        neg     %r3, %r3
        blr
.endm

.macro child
        child_begins lr
        clrrwi  %r1, %r1, 4
        li      %r0, 0
        stwu    %r0, -CHILD_FRAME(%r1)  /* C8: the back chain ends here. C5: fn stores lr above its SP */
        mtctr   %r30
        mr      %r3, %r31
        bctrl
        li      %r0, NR_exit            /* the status is where exit wants it */
        sc
        trap
.endm

function clone_trampoline
        cmpwi   %r3, 0
        beq     .Lclone_invalid
        cmpwi   %r4, 0
        bne     .Lclone_stack_is_right
        andi.   %r0, %r5, CLONE_VM | CLONE_VFORK
        cmpwi   %r0, CLONE_VM
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
        cmpwi   %cr1, %r3, 0            /* not cr0, which says whether r3 is an errno */
        beq     %cr1, .Lclone_child
        restore_and_return
.Lclone_invalid:
        li      %r3, -EINVAL
        blr
.Lclone_child:
        child
end_function clone_trampoline

function clone3_trampoline
        cmpwi   %r3, 0
        beq     .Lclone3_invalid
        cmpwi   %r5, 0
        beq     .Lclone3_invalid
        save_r30_and_r31
        mr      %r30, %r5
        mr      %r31, %r6
        li      %r0, NR_clone3
        sc
        cmpwi   %cr1, %r3, 0
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

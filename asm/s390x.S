/* s390x. What differs from x86_64.S: clone has the stack before the flags; r6 carries an argument, and
 * its callee has to restore it all the same; two arguments are on the stack; a caller keeps 160 bytes
 * above its SP for its callee's registers, so the parent saves without a frame of its own.
 *
 * clone_trampoline      C call                kernel
 *   number                                    r1   120
 *   fn                  r2                    -         kept in r0
 *   stack_top           r3                    r2
 *   flags               r4                    r3
 *   arg                 r5                    -         kept in r7
 *   parent_tid          r6                    r4
 *   tls                 160(r15)              r6
 *   child_tid           168(r15)              r5
 *
 * clone3_trampoline     C call                kernel
 *   number                                    r1   435
 *   args                r2                    r2
 *   size                r3                    r3
 *   fn                  r4                    -         kept in r0
 *   arg                 r5                    -         stays in r5
 *
 * The trap destroys r2 only. It is svc 0 with the number in r1: the instruction has no room for clone3's. */

#ifdef __s390x__
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0            /* none is defined */
#define PORT_PROPERTY_BITS 0
#include "port.h"

#define NR_exit   1
#define NR_munmap 91
#define NR_clone  120
#define NR_clone3 435

/* where a callee saves r6 and r7 in its caller's frame, whose SP is the CFA less this frame */
#define CALLER_FRAME 160
#define SAVE_R6      48
#define SAVE_R7      56

.macro child arg
        child_begins 14
        nill    %r15, 0xfff8
        aghi    %r15, -CALLER_FRAME     /* C5: where fn saves registers */
        xc      0(8, %r15), 0(%r15)     /* C8: the back chain ends here; every processor has this one */
        lgr     %r2, \arg
        lgr     %r1, %r0                /* r0 as the target of a branch means no branch */
        basr    %r14, %r1
        lghi    %r1, NR_exit            /* the status is where exit wants it */
        svc     0
        j       .+2                     /* into its own second half, which is no instruction */
.endm

function clone_trampoline
        ltgr    %r0, %r2
        je      .Lclone_invalid
        ltgr    %r2, %r3
        jne     .Lclone_stack_is_right
        lghi    %r1, CLONE_VM | CLONE_VFORK
        ngr     %r1, %r4
        cghi    %r1, CLONE_VM
        je      .Lclone_invalid
.Lclone_stack_is_right:
        stmg    %r6, %r7, SAVE_R6(%r15)
        .cfi_offset 6, SAVE_R6 - CALLER_FRAME
        .cfi_offset 7, SAVE_R7 - CALLER_FRAME
        lgr     %r3, %r4
        lgr     %r7, %r5
        lgr     %r4, %r6
        lg      %r6, 160(%r15)
        lg      %r5, 168(%r15)
        lghi    %r1, NR_clone
        svc     0
        ltgr    %r2, %r2
        je      .Lclone_child
        lmg     %r6, %r7, SAVE_R6(%r15) /* C6: on the error's path, too */
        .cfi_restore 6
        .cfi_restore 7
        br      %r14
.Lclone_invalid:
        lghi    %r2, -EINVAL
        br      %r14
.Lclone_child:
        child   %r7
end_function clone_trampoline

function clone3_trampoline
        ltgr    %r2, %r2
        je      .Lclone3_invalid
        ltgr    %r0, %r4
        je      .Lclone3_invalid
        lghi    %r1, NR_clone3
        svc     0
        ltgr    %r2, %r2
        je      .Lclone3_child
        br      %r14
.Lclone3_invalid:
        lghi    %r2, -EINVAL
        br      %r14
.Lclone3_child:
        child   %r5
end_function clone3_trampoline

function unmap_exit_trampoline
        lghi    %r1, NR_munmap
        svc     0
        .cfi_undefined 14
        lgr     %r2, %r4
        lghi    %r1, NR_exit
        svc     0
        j       .+2
end_function unmap_exit_trampoline

/* C13 */
function clone_trampoline_syscall
        stmg    %r6, %r7, SAVE_R6(%r15)
        .cfi_offset 6, SAVE_R6 - CALLER_FRAME
        .cfi_offset 7, SAVE_R7 - CALLER_FRAME
        lgr     %r1, %r2
        lgr     %r2, %r3
        lgr     %r3, %r4
        lgr     %r4, %r5
        lgr     %r5, %r6
        lg      %r6, 160(%r15)
        lg      %r7, 168(%r15)
        svc     0
        lmg     %r6, %r7, SAVE_R6(%r15)
        .cfi_restore 6
        .cfi_restore 7
        br      %r14
end_function clone_trampoline_syscall

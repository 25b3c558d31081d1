/* aarch64, in either byte order. This is what differs from x86_64.S: nothing needs the stack, so the
 * parent has no frame and nothing to restore.
 *
 * clone_trampoline      C call                kernel
 *   number                                    x8   220
 *   fn                  x0                    -         kept in x9
 *   stack_top           x1                    x1
 *   flags               x2                    x0
 *   arg                 x3                    -         kept in x10
 *   parent_tid          x4                    x2
 *   tls                 x5                    x3
 *   child_tid           x6                    x4
 *
 * clone3_trampoline     C call                kernel
 *   number                                    x8   435
 *   args                x0                    x0
 *   size                x1                    x1
 *   fn                  x2                    -         kept in x9
 *   arg                 x3                    -         kept in x10
 *
 * The trap destroys x0 only (and the SVE state beyond the vector registers, as any call does). With
 * SME, the caller has ZA off, as for every function without a private-ZA interface; see PORTING.md. */

#ifdef __aarch64__
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0xc0000000   /* GNU_PROPERTY_AARCH64_FEATURE_1_AND */
#define PORT_PROPERTY_BITS 7            /* BTI: every entry is a bti c. PAC: x30 is never stored. GCS: no
                                           ret but to a call */
#include "port.h"

#define NR_exit   93
#define NR_munmap 215
#define NR_clone  220
#define NR_clone3 435

#define BTI_C hint #34                  /* bti c, for assemblers that do not know the name */

.macro child
        child_begins x30
        mov     x29, #0
        mov     x8, sp                  /* SP can be the result of a logical operation, not its source; */
        and     sp, x8, #-16            /* a load or store through a misaligned one faults */
        mov     x0, x10
        blr     x9
        mov     x8, #NR_exit            /* the status is where exit wants it */
        svc     #0
        brk     #1
.endm

function clone_trampoline
        BTI_C
        cbz     x0, .Lclone_invalid
        cbnz    x1, .Lclone_stack_is_right
        tbz     x2, #8, .Lclone_stack_is_right          /* CLONE_VM */
        tbz     x2, #14, .Lclone_invalid                /* CLONE_VFORK */
.Lclone_stack_is_right:
        mov     x9, x0
        mov     x10, x3
        mov     x0, x2
        mov     x2, x4
        mov     x3, x5
        mov     x4, x6
        mov     x8, #NR_clone
        svc     #0
        cbz     x0, .Lclone_child
        ret
.Lclone_invalid:
        mov     x0, #-EINVAL
        ret
.Lclone_child:
        child
end_function clone_trampoline

function clone3_trampoline
        BTI_C
        cbz     x0, .Lclone3_invalid
        cbz     x2, .Lclone3_invalid
        mov     x9, x2
        mov     x10, x3
        mov     x8, #NR_clone3
        svc     #0
        cbz     x0, .Lclone3_child
        ret
.Lclone3_invalid:
        mov     x0, #-EINVAL
        ret
.Lclone3_child:
        child
end_function clone3_trampoline

function unmap_exit_trampoline
        BTI_C
        mov     x8, #NR_munmap
        svc     #0
        .cfi_undefined x30
        mov     x0, x2
        mov     x8, #NR_exit
        svc     #0
        brk     #1
end_function unmap_exit_trampoline

/* C13 */
function clone_trampoline_syscall
        BTI_C
        mov     x8, x0
        mov     x0, x1
        mov     x1, x2
        mov     x2, x3
        mov     x3, x4
        mov     x4, x5
        mov     x5, x6
        svc     #0
        ret
end_function clone_trampoline_syscall

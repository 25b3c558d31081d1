/* What no port may forget. Every asm/<target_arch>.S includes this file first, after it has said
 *
 *   PORT_COMPILER_MATCHES    defined when the compiler's own macros name this port's architecture
 *   PORT_PROPERTY_TYPE       GNU property type and bits that the code of the port really keeps
 *   PORT_PROPERTY_BITS       (C10); bits 0 where the architecture defines none
 *
 *   PORT_DESCRIPTORS         only where a function's symbol is that of a descriptor in .opd (ELFv1)
 *
 * and writes its four functions between `function` and `end_function`. Assembles with GNU as and
 * with clang; PORTING.md tells how a port is written, and names the clauses C1 to C13. */

#ifndef PORT_COMPILER_MATCHES
# error "this compiler's architecture is not this file's: CC must be a compiler for the target"
#endif
#if !defined(PORT_PROPERTY_TYPE) || !defined(PORT_PROPERTY_BITS)
# error "the port does not say which hardening notes its code keeps"
#endif

/* uapi/linux/sched.h and asm-generic/errno-base.h: the same number on every architecture. */
#define CLONE_VM    0x00000100
#define CLONE_VFORK 0x00004000
#define EINVAL      22

/* Without this section the linker makes the stack of the whole program executable. */
        .section .note.GNU-stack, "", %progbits

/* The linker keeps a hardening property only if every object of the program claims it, so one
 * hand-written object without the note turns the feature off for all (C10). Neither gcc nor GNU as
 * writes it for assembly. */
#if PORT_PROPERTY_BITS
# if __SIZEOF_POINTER__ == 8
#  define PROPERTY_ALIGN 3
# else
#  define PROPERTY_ALIGN 2
# endif
        .section .note.gnu.property, "a"
        .p2align PROPERTY_ALIGN
        .long   4                       /* size of the name */
        .long   2f - 1f                 /* size of the properties */
        .long   5                       /* NT_GNU_PROPERTY_TYPE_0 */
        .asciz  "GNU"
1:
        .long   PORT_PROPERTY_TYPE
        .long   4                       /* size of the bits */
        .long   PORT_PROPERTY_BITS
        .p2align PROPERTY_ALIGN
2:
#endif

        .text

.macro function name
        .globl  \name
        .type   \name, %function
#ifdef PORT_DESCRIPTORS
        .section .opd, "aw"
        .p2align 3
\name:
        .quad   .L\name, .TOC.@tocbase, 0
        .text
        .p2align 4
.L\name:
#else
        .p2align 4
\name:
#endif
        .cfi_startproc
.endm

.macro end_function name
        .cfi_endproc
#ifdef PORT_DESCRIPTORS
        .size   \name, . - .L\name
#else
        .size   \name, . - \name
#endif
.endm

/* The child's part of a trampoline. It has an FDE of its own, because the parent's rules describe a
 * frame that the child's stack does not have, and in it the return address is undefined: that is how
 * an unwinder knows the outermost frame (C8). It comes after the parent's FDE: GNU as would move the
 * rule of a file's first FDE into the CIE, where elfutils does not honour it (glibc BZ #24040).
 *
 * The trap itself, and the test of its result, stay in the parent's FDE, which some of glibc's ports
 * end before: the child has left them at once, but the parent of a vfork sleeps at that address until
 * the child is gone, and a profiler or a core dump should be able to say who called. */
.macro child_begins return_address
        .cfi_endproc
        .cfi_startproc
        .cfi_undefined \return_address
.endm

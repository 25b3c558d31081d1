/* Offsets into struct Call and struct Entry of lib.rs are multiples of the word, 4 bytes. */
#ifdef __i386__
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0xc0000002   /* GNU_PROPERTY_X86_FEATURE_1_AND */
/* Before the Pentium Pro endbr32 is an invalid instruction, so that a port can claim nothing. */
#if defined(__i486__) || defined(__i586__) || defined(__k6__) || defined(__geode__)
# define PORT_PROPERTY_BITS 0
# define LANDING_PAD
# define LANDING_PAD_CODE 0
#else
# define PORT_PROPERTY_BITS 3           /* IBT, SHSTK */
# define LANDING_PAD endbr32
# define LANDING_PAD_CODE 0xfb1e0ff3
#endif
#include "port.h"

        .att_syntax

#define PATTERN 0x5aa5c33c
#define WORDS   64

/* edx collects every bit that differs */
.macro differs register, n
        xorl    $(PATTERN + \n), %\register
        orl     %\register, %edx
.endm

/* The frame: 0 the seven arguments, 28 the struct Call, 32 the patterned words. */
function probe_call
        LANDING_PAD
        .irp register, ebp, ebx, esi, edi
        pushl   %\register
        .cfi_adjust_cfa_offset 4
        .cfi_rel_offset \register, 0
        .endr
        subl    $(44 + 4 * WORDS), %esp
        .cfi_adjust_cfa_offset 44 + 4 * WORDS
        movl    64 + 4 * WORDS(%esp), %edx
        movl    %edx, 28(%esp)
        movl    $PATTERN, %eax
        leal    32(%esp), %edi
        movl    $WORDS, %ecx
        rep stosl
        movl    %esp, 36(%edx)
        leal    4(%edx), %esi
        movl    %esp, %edi
        movl    $7, %ecx
        rep movsl
        movl    $(PATTERN + 1), %ebp
        movl    $(PATTERN + 2), %ebx
        movl    $(PATTERN + 3), %esi
        movl    $(PATTERN + 4), %edi
        call    *(%edx)
        movl    28(%esp), %ecx
        movl    %eax, 32(%ecx)
        movl    %esp, %edx
        xorl    36(%ecx), %edx
        differs ebp, 1
        differs ebx, 2
        differs esi, 3
        differs edi, 4
        movl    %edx, 40(%ecx)
        xorl    %edx, %edx
        xorl    %esi, %esi
1:      movl    (%esp, %esi, 4), %eax
        xorl    4(%ecx, %esi, 4), %eax
        orl     %eax, %edx
        incl    %esi
        cmpl    $7, %esi
        jne     1b
        leal    32(%esp), %esi
        movl    $WORDS, %edi
2:      movl    (%esi), %eax
        differs eax, 0
        addl    $4, %esi
        decl    %edi
        jnz     2b
        movl    %edx, 44(%ecx)
        addl    $(44 + 4 * WORDS), %esp
        .cfi_adjust_cfa_offset -(44 + 4 * WORDS)
        .irp register, edi, esi, ebx, ebp
        popl    %\register
        .cfi_adjust_cfa_offset -4
        .cfi_restore \register
        .endr
        ret
end_function probe_call

function probe_entry
        LANDING_PAD
        movl    4(%esp), %ecx
        leal    4(%esp), %eax
        movl    %eax, (%ecx)
        movl    %ebp, 4(%ecx)
        movl    %gs:0, %eax             /* by the psABI the first word of a TLS block is its address */
        movl    %eax, 8(%ecx)
        movaps  %xmm0, -28(%esp)        /* 32 bytes below SP at the call; faults if that is misaligned */
        jmp     *12(%ecx)
end_function probe_entry

/* struct user_desc: the entry that gs names now, whatever the kernel's GDT is like */
function probe_tls_argument
        LANDING_PAD
        movl    8(%esp), %eax
        movl    %gs, %ecx
        shrl    $3, %ecx
        movl    %ecx, (%eax)            /* entry_number */
        movl    4(%esp), %ecx
        movl    %ecx, 4(%eax)           /* base_addr */
        movl    $0xfffff, 8(%eax)       /* limit */
        movl    $0x51, 12(%eax)         /* seg_32bit, limit_in_pages, useable */
        ret
end_function probe_tls_argument

function probe_stack_alignment
        LANDING_PAD
        movl    $16, %eax
        ret
end_function probe_stack_alignment

function probe_property
        LANDING_PAD
        movl    $PORT_PROPERTY_TYPE, %eax
        movl    $PORT_PROPERTY_BITS, %edx
        ret
end_function probe_property

.macro pattern_of dwarf_register, n
        cmpl    $\dwarf_register, 4(%esp)
        jne     1f
        movl    $(PATTERN + \n), %eax
1:
.endm
function probe_pattern
        LANDING_PAD
        xorl    %eax, %eax
        pattern_of 5, 1                 /* ebp */
        pattern_of 3, 2                 /* ebx */
        pattern_of 6, 3                 /* esi */
        pattern_of 7, 4                 /* edi */
        ret
end_function probe_pattern

function probe_landing_pad
        LANDING_PAD
        movl    $LANDING_PAD_CODE, %eax
        ret
end_function probe_landing_pad

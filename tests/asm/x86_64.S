/* Offsets into struct Call and struct Entry of lib.rs are multiples of the word. A place on the stack has 8
 * bytes in x32 too. */
#ifdef __x86_64__
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0xc0000002   /* GNU_PROPERTY_X86_FEATURE_1_AND */
#define PORT_PROPERTY_BITS 3            /* IBT, SHSTK */
#include "port.h"

        .att_syntax

#define PATTERN 0x5aa5c33c69960ff0
#define WORDS   64

#ifdef __ILP32__
# define WORD 4
# define R(wide, narrow) %narrow
#else
# define WORD 8
# define R(wide, narrow) %wide
#endif

.macro set register, n
        movabsq $(PATTERN + \n), %\register
.endm
/* rdx collects every bit that differs */
.macro differs register, n
        movabsq $(PATTERN + \n), %rcx
        xorq    %\register, %rcx
        orq     %rcx, %rdx
.endm
/* x32 leaves the upper half undefined: here it is not 0. */
.macro argument n, register, half
        mov     \n*WORD(%rax), R(\register, \half)
#ifdef __ILP32__
        btsq    $32, %\register
#endif
.endm
.macro fold
#ifdef __ILP32__
        movq    %rdx, %rcx
        shrq    $32, %rcx
        orl     %ecx, %edx
#endif
.endm

/* The frame: 0 the seventh argument, 16 the struct Call, 24 the patterned words. */
function probe_call
        endbr64
        .irp register, rbp, rbx, r12, r13, r14, r15
        pushq   %\register
        .cfi_adjust_cfa_offset 8
        .cfi_rel_offset \register, 0
        .endr
        subq    $(24 + 8 * WORDS), %rsp
        .cfi_adjust_cfa_offset 24 + 8 * WORDS
        mov     R(rdi, edi), R(rdx, edx)
        movq    %rdx, 16(%rsp)
        set     rax, 0
        leaq    24(%rsp), %rdi
        movl    $WORDS, %ecx
        rep stosq
        movq    %rdx, %rax
        mov     R(rsp, esp), 9*WORD(%rax)
        argument 1, rdi, edi
        argument 2, rsi, esi
        argument 3, rdx, edx
        argument 4, rcx, ecx
        argument 5, r8, r8d
        argument 6, r9, r9d
        set     r10, 0
        movq    %r10, (%rsp)
        mov     7*WORD(%rax), R(r10, r10d)
        mov     R(r10, r10d), (%rsp)
        mov     (%rax), R(r10, r10d)
        set     rbp, 1
        set     rbx, 2
        set     r12, 3
        set     r13, 4
        set     r14, 5
        set     r15, 6
        call    *%r10
        movq    16(%rsp), %rdi
        mov     R(rax, eax), 8*WORD(%rdi)
        mov     R(rsp, esp), R(rdx, edx)
        xor     9*WORD(%rdi), R(rdx, edx)
        differs rbp, 1
        differs rbx, 2
        differs r12, 3
        differs r13, 4
        differs r14, 5
        differs r15, 6
        fold
        mov     R(rdx, edx), 10*WORD(%rdi)
        mov     (%rsp), R(rdx, edx)
        xor     7*WORD(%rdi), R(rdx, edx)
        leaq    24(%rsp), %rsi
        movl    $WORDS, %r8d
1:      movq    (%rsi), %rax
        differs rax, 0
        addq    $8, %rsi
        decl    %r8d
        jnz     1b
        fold
        mov     R(rdx, edx), 11*WORD(%rdi)
        addq    $(24 + 8 * WORDS), %rsp
        .cfi_adjust_cfa_offset -(24 + 8 * WORDS)
        .irp register, r15, r14, r13, r12, rbx, rbp
        popq    %\register
        .cfi_adjust_cfa_offset -8
        .cfi_restore \register
        .endr
        ret
end_function probe_call

function probe_entry
        endbr64
        leaq    8(%rsp), %rax
        mov     R(rax, eax), (%rdi)
        mov     R(rbp, ebp), 1*WORD(%rdi)
        mov     %fs:0, R(rax, eax)      /* by the psABI the first word of a TLS block is its address */
        mov     R(rax, eax), 2*WORD(%rdi)
        movaps  %xmm0, -24(%rsp)        /* 32 bytes below SP at the call; faults if that is misaligned */
        mov     3*WORD(%rdi), R(rax, eax)
        jmp     *%rax
end_function probe_entry

function probe_tls_argument
        endbr64
        movq    %rdi, %rax
        ret
end_function probe_tls_argument

function probe_stack_alignment
        endbr64
        movl    $16, %eax
        ret
end_function probe_stack_alignment

function probe_property
        endbr64
        movabsq $((PORT_PROPERTY_BITS << 32) + PORT_PROPERTY_TYPE), %rax
        ret
end_function probe_property

.macro pattern_of dwarf_register, n
        movabsq $(PATTERN + \n), %rdx
        cmpl    $\dwarf_register, %edi
        cmoveq  %rdx, %rax
.endm
function probe_pattern
        endbr64
        xorl    %eax, %eax
        pattern_of 6, 1                 /* rbp */
        pattern_of 3, 2                 /* rbx */
        pattern_of 12, 3
        pattern_of 13, 4
        pattern_of 14, 5
        pattern_of 15, 6
        ret
end_function probe_pattern

function probe_landing_pad
        endbr64
        movl    $0xfa1e0ff3, %eax       /* endbr64 */
        ret
end_function probe_landing_pad

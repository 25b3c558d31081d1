/* x86_64, LP64 and x32. This is the reference port: the other files explain only what differs.
 * PORTING.md has the contract, clause by clause (C1 to C13).
 *
 * clone_trampoline      C call                kernel
 *   number                                    eax  56
 *   fn                  rdi                   -         kept in r9
 *   stack_top           rsi                   rsi
 *   flags               rdx                   rdi
 *   arg                 rcx                   -         kept in rbx
 *   parent_tid          r8                    rdx
 *   tls                 r9                    r8
 *   child_tid           8(rsp)                r10
 *
 * clone3_trampoline     C call                kernel
 *   number                                    eax  435
 *   args                rdi                   rdi
 *   size                rsi                   rsi
 *   fn                  rdx                   -         stays in rdx
 *   arg                 rcx                   -         kept in r8
 *
 * The syscall instruction destroys rax (the result), rcx and r11. Every other register arrives in
 * the child as the parent had it; rsp is the new stack, or the parent's when the stack is 0. */

#ifdef __x86_64__
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0xc0000002   /* GNU_PROPERTY_X86_FEATURE_1_AND */
#define PORT_PROPERTY_BITS 3            /* IBT: every entry is an endbr64. SHSTK: no ret but to a call */
#include "port.h"

        .att_syntax                     /* a compiler that is told -masm=intel begins in the other one */

#ifdef __ILP32__
# define NR(n) (0x40000000 + (n))       /* __X32_SYSCALL_BIT */
#else
# define NR(n) (n)
#endif
#define NR_munmap 11
#define NR_clone  56
#define NR_exit   60
#define NR_clone3 435

/* The child's whole life: fn(arg), then exit. */
.macro child fn, arg
        child_begins rip
        xorl    %ebp, %ebp              /* C8: unwinders that follow frame pointers stop here */
        andq    $-16, %rsp              /* C5: here and not before the trap, so that one line serves
                                           both calls, the caller's stack too (C4: SP only moves
                                           down), and a stack_top below 16 does not become 0 */
        movq    \arg, %rdi
        call    *\fn                    /* call, not push and jmp: the shadow stack must agree (C10) */
        movl    %eax, %edi              /* C2: all of the status */
        movl    $NR(NR_exit), %eax      /* C2: exit ends this task, exit_group would end the process */
        syscall
        hlt                             /* exit does not return. If a filter makes it: not into the
                                           caller's frame (C2), which may be the parent's (C4) */
.endm

function clone_trampoline
        endbr64
#ifdef __ILP32__
        movl    %edi, %edi              /* the x32 ABI leaves the upper halves undefined, the kernel */
        movl    %esi, %esi              /* and the call of fn look at all 64 bits */
        movl    %ecx, %ecx
        movl    %r8d, %r8d
        movl    %r9d, %r9d
#endif
        testq   %rdi, %rdi              /* C3 */
        jz      .Lclone_invalid
        testq   %rsi, %rsi              /* C4: the caller's stack is right for a copy of the memory, */
        jnz     .Lclone_stack_is_right  /* and for a caller who sleeps, not for two at once */
        movl    %edx, %eax
        andl    $(CLONE_VM | CLONE_VFORK), %eax
        cmpl    $CLONE_VM, %eax
        je      .Lclone_invalid
.Lclone_stack_is_right:
        pushq   %rbx                    /* C6. Six registers carry the kernel's arguments and r9 has */
        .cfi_adjust_cfa_offset 8        /* fn, so arg needs a call-saved one; C4: saved at SP, not */
        .cfi_rel_offset rbx, 0          /* below it, as a child on this stack overwrites the red zone */
        movq    %rcx, %rbx
        movq    %rdi, %rax
        movl    %edx, %edi              /* the kernel reads 32 bits of flags in this call */
        movq    %r8, %rdx
        movq    %r9, %r8
        movq    %rax, %r9
#ifdef __ILP32__
        movl    16(%rsp), %r10d         /* the upper half of the slot is undefined */
#else
        movq    16(%rsp), %r10
#endif
        movl    $NR(NR_clone), %eax
        syscall
        testq   %rax, %rax
        jz      .Lclone_child
        popq    %rbx
        .cfi_adjust_cfa_offset -8
        .cfi_restore rbx
        ret                             /* C1: the tid, or -errno as the kernel gave it */
.Lclone_invalid:
        movq    $-EINVAL, %rax
        ret
.Lclone_child:
        child   %r9, %rbx
end_function clone_trampoline

function clone3_trampoline
        endbr64
#ifdef __ILP32__
        movl    %edi, %edi
        movl    %esi, %esi
        movl    %edx, %edx
        movl    %ecx, %ecx
#endif
        testq   %rdi, %rdi              /* C3. No more is asked of args: what is wrong with it is the */
        jz      .Lclone3_invalid        /* kernel's to say, which copies it once (C1) */
        testq   %rdx, %rdx
        jz      .Lclone3_invalid
        movq    %rcx, %r8
        movl    $NR(NR_clone3), %eax
        syscall
        testq   %rax, %rax
        jz      .Lclone3_child
        ret
.Lclone3_invalid:
        movq    $-EINVAL, %rax
        ret
.Lclone3_child:
        child   %rdx, %r8
end_function clone3_trampoline

/* C11: after munmap there is no stack, so no call, no push and no return address. */
function unmap_exit_trampoline
        endbr64
#ifdef __ILP32__
        movl    %edi, %edi
        movl    %esi, %esi
#endif
        movl    $NR(NR_munmap), %eax
        syscall
        .cfi_undefined rip
        movl    %edx, %edi
        movl    $NR(NR_exit), %eax
        syscall
        hlt
end_function unmap_exit_trampoline

/* C13: libc's syscall(), but for errno: the seven arguments move up by one, and the result is the kernel's. */
function clone_trampoline_syscall
        endbr64
#ifdef __ILP32__
        movl    %edi, %edi              /* the number has __X32_SYSCALL_BIT, as the libc's constants have */
        movl    %esi, %esi
        movl    %edx, %edx
        movl    %ecx, %ecx
        movl    %r8d, %r8d
        movl    %r9d, %r9d
#endif
        movq    %rdi, %rax
        movq    %rsi, %rdi
        movq    %rdx, %rsi
        movq    %rcx, %rdx
        movq    %r8, %r10
        movq    %r9, %r8
#ifdef __ILP32__
        movl    8(%rsp), %r9d
#else
        movq    8(%rsp), %r9
#endif
        syscall
        ret
end_function clone_trampoline_syscall

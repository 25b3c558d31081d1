# Wrong edits of asm/x86_64.S: a name, then a sed -E script. Not here, because they change nothing that
# can be observed: flags of clone cut to 32 bits (the kernel does so itself), and the upper halves of x32's
# arguments in unmap_exit_trampoline (it does not return to tell, and compilers clear them).
no-alignment                    s/andq    \$-16, %rsp/nop/
alignment-upwards               s/andq    \$-16, %rsp/addq $15, %rsp; andq $-16, %rsp/
alignment-to-8                  s/andq    \$-16, %rsp/andq $-8, %rsp/
exit-group                      s/NR_exit   60/NR_exit   231/
status-not-passed               s/movl    %eax, %edi .*/xorl %edi, %edi/
status-of-seven-bits            s/movl    %eax, %edi .*/andl $127, %eax; movl %eax, %edi/
frame-pointer-kept              /xorl    %ebp, %ebp/d
no-trap-behind-the-exit         s/^        hlt/        nop/
child-writes-above-its-stack    s/call    \*\\fn/movq $0, (%rsp); call *\\fn/
child-returns                   s/call    \*\\fn .*/pushq $0; movq \\fn, (%rsp); ret/
clobbers-rbx                    s/popq    %rbx/addq $8, %rsp/
clobbers-rbx-on-failure         s/popq    %rbx/testq %rax, %rax; js 9f; popq %rbx; ret; 9: addq $8, %rsp/
clobbers-rbx-on-einval          s/^\.Lclone_invalid:/&\n        xorl %ebx, %ebx/
clobbers-r12-in-clone3          s/movq    %rcx, %r8/movq %rcx, %r8; xorl %r12d, %r12d/
parent-state-below-sp           s/pushq   %rbx/movq %rbx, -16(%rsp)/; s/popq    %rbx/movq -16(%rsp), %rbx/; s/ 16\(%rsp\)/ 8(%rsp)/; /cfi_adjust_cfa_offset|cfi_rel_offset/d
parents-cfa-not-adjusted        s/\.cfi_adjust_cfa_offset 8 .*//
parents-rbx-not-found           /cfi_rel_offset rbx/d
parent-has-no-caller            s/movl    \$NR\(NR_clone\), %eax/.cfi_undefined rip; &/
trap-in-the-childs-fde          s/movl    \$NR\(NR_clone3\), %eax/child_begins rip; &/
ptid-and-ctid-swapped           s/movq    %r8, %rdx/movq %r8, %r10/; s/movq    16\(%rsp\), %r10/movq 16(%rsp), %rdx/; s/movl    16\(%rsp\), %r10d/movl 16(%rsp), %edx/
ctid-not-passed                 s/mov[lq]    16\(%rsp\), %r10d?/xorl %r10d, %r10d/
tls-not-passed                  s/movq    %r9, %r8/xorl %r8d, %r8d/
flags-not-passed                s/movl    %edx, %edi  .*/movl $17, %edi/
vfork-child-gets-a-copy         s/movl    %edx, %edi  /testl $CLONE_VFORK, %edx; jz 9f; andl $~CLONE_VM, %edx; 9: &/
arg-not-passed                  s/movq    \\arg, %rdi/xorl %edi, %edi/
positive-errno                  s/popq    %rbx/popq %rbx; cmpq $-4095, %rax; jb 9f; negq %rax; 9:/
positive-errno-of-clone3        s/jz      \.Lclone3_child/&; cmpq $-4095, %rax; jb 9f; negq %rax; 9:/
result-cut-to-32-bits@*-gnu     s/testq   %rax, %rax/movl %eax, %eax; testq %rax, %rax/
result-cut-to-15-bits           s/jz      \.Lclone_child/&; js 9f; andl $0x7fff, %eax; 9:/
null-fn-allowed                 s/jz      \.Lclone_invalid/nop/
null-fn-allowed-in-clone3       s/testq   %rdx, %rdx/testq %rsp, %rsp/
null-args-allowed               s/jz      \.Lclone3_invalid  /nop; /
two-tasks-on-one-stack          s/je      \.Lclone_invalid/nop/
vfork-refused-the-stack         s/andl    \$\(CLONE_VM \| CLONE_VFORK\), %eax/andl $CLONE_VM, %eax/
copy-refused-the-stack          s/je      \.Lclone_invalid/jmp .Lclone_invalid/
clone3-args-written             s/movl    \$NR\(NR_clone3\), %eax/movq $0, 48(%rdi); &/
clone3-args-read                s/movl    \$NR\(NR_clone3\), %eax/movq (%rdi), %rax; &/
clone3-size-fixed               s/movl    \$NR\(NR_clone3\), %eax/movl $88, %esi; &/
property-of-another-type        s/PORT_PROPERTY_TYPE 0xc000000/PORT_PROPERTY_TYPE 0xc000001/
no-property-note                s/PORT_PROPERTY_BITS 3 /PORT_PROPERTY_BITS 0 /
no-shstk-in-the-note            s/PORT_PROPERTY_BITS 3 /PORT_PROPERTY_BITS 1 /
no-landing-pad                  0,/^        endbr64/s///
unmap-too-little                s/movl    \$NR\(NR_munmap\), %eax/subq $4096, %rsi; &/
unmap-too-much                  s/movl    \$NR\(NR_munmap\), %eax/addq $4096, %rsi; &/
unmap-nothing                   s/movl    \$NR\(NR_munmap\), %eax/xorl %esi, %esi; &/
unmap-then-push                 s/movl    %edx, %edi$/pushq %rdx; &/
unmap-exit-status-lost          s/movl    %edx, %edi$/xorl %edi, %edi/
data-relocation                 s/^function clone3_trampoline/        .data\n        .quad clone_trampoline\n        .text\n&/
needs-libc                      s/^function clone3_trampoline/        call exit\n&/
half-of-fn@*x32                 /^function clone_/,/^end/s/movl    %edi, %edi//
half-of-stack-top@*x32          /^function clone_/,/^end/s/movl    %esi, %esi//
half-of-arg@*x32                /^function clone_/,/^end/s/movl    %ecx, %ecx//
half-of-parent-tid@*x32         s/movl    %r8d, %r8d//
half-of-tls@*x32                s/movl    %r9d, %r9d//
half-of-child-tid@*x32          s/movl    16\(%rsp\), %r10d/movq 16(%rsp), %r10/
half-of-args-in-clone3@*x32     /^function clone3_/,/^end/s/movl    %edi, %edi//
half-of-size-in-clone3@*x32     /^function clone3_/,/^end/s/movl    %esi, %esi//
half-of-fn-in-clone3@*x32       /^function clone3_/,/^end/s/movl    %edx, %edx//
half-of-arg-in-clone3@*x32      /^function clone3_/,/^end/s/movl    %ecx, %ecx//
number-without-the-bit@*x32     s/0x40000000 \+ //
syscall-number-lost             /^function clone_trampoline_syscall/,/^end/s/movq    %rdi, %rax/movl $NR(39), %eax/
syscall-fourth-not-in-r10       /^function clone_trampoline_syscall/,/^end/s/movq    %r8, %r10/movq %r8, %rcx/
syscall-fifth-lost              /^function clone_trampoline_syscall/,/^end/s/movq    %r9, %r8/xorl %r8d, %r8d/
syscall-sixth-lost              /^function clone_trampoline_syscall/,/^end/s/mov[lq]    8\(%rsp\), %r9d?/xorl %r9d, %r9d/
syscall-positive-errno          /^function clone_trampoline_syscall/,/^end/s/^        ret/        testl %eax, %eax; jns 9f; negq %rax; 9: ret/
syscall-result-cut@*gnu         /^function clone_trampoline_syscall/,/^end/s/^        ret/        movl %eax, %eax; ret/
syscall-clobbers-rbx            /^function clone_trampoline_syscall/,/^end/s/movq    %rdi, %rax/movq %rdi, %rbx; &/
syscall-without-landing-pad     /^function clone_trampoline_syscall/,/^end/s/endbr64/nop/
half-of-first@*x32              /^function clone_trampoline_syscall/,/^end/s/movl    %esi, %esi//
half-of-second@*x32             /^function clone_trampoline_syscall/,/^end/s/movl    %edx, %edx//
half-of-third@*x32              /^function clone_trampoline_syscall/,/^end/s/movl    %ecx, %ecx//
half-of-fourth@*x32             /^function clone_trampoline_syscall/,/^end/s/movl    %r8d, %r8d//
half-of-fifth@*x32              /^function clone_trampoline_syscall/,/^end/s/movl    %r9d, %r9d//

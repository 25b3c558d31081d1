# Wrong edits of asm/x86.S: a name, then a sed -E script. Flags and results have 32 bits here.
no-alignment                    /andl    \$-16, %esp/d
alignment-before-the-argument   s/subl    \$12, %esp.*/subl $8, %esp/
child-frame-without-moving-sp   s/subl    \$12, %esp.*//; s/pushl   \\arg/movl \\arg, (%esp)/
exit-group                      s/NR_exit   1$/NR_exit   252/
status-not-passed               s/movl    %eax, %ebx$/xorl %ebx, %ebx/
status-of-seven-bits            s/movl    %eax, %ebx$/andl $127, %eax; movl %eax, %ebx/
frame-pointer-kept              /xorl    %ebp, %ebp/d
no-trap-behind-the-exit         s/^        hlt/        nop/
clobbers-ebx                    s/^        restore ebx/        addl $4, %esp/
clobbers-esi                    s/^        restore esi/        addl $4, %esp/
clobbers-edi                    s/^        restore edi/        addl $4, %esp/
clobbers-ebx-on-failure         s/^        restore edi/        testl %eax, %eax; jns 9f; movl $0, 8(%esp); 9: popl %edi/
clobbers-ebx-on-einval          s/^\.Lclone_invalid:/&\n        xorl %ebx, %ebx/
parent-state-below-sp           s/^\.Lclone_trap:/&\n        movl 8(%esp), %eax; movl %eax, -32(%esp)/; s/jz      \.Lclone_child/&; movl -32(%esp), %ecx; movl %ecx, 8(%esp)/
parents-cfa-not-adjusted        s/\.cfi_adjust_cfa_offset 8 .*//
parents-registers-not-found     /cfi_rel_offset/d
parent-has-no-caller            s/movl    \$NR_clone, %eax/.cfi_undefined eip; &/
trap-in-the-childs-fde          s/movl    \$NR_clone3, %eax/child_begins eip; &/
two-words-above-stack-top       s/subl    \$8, %ecx .*//
ptid-and-ctid-swapped           s/movl    40\(%esp\), %edx/movl 48(%esp), %edx/; s/movl    48\(%esp\), %edi/movl 40(%esp), %edi/
tls-and-ctid-swapped            s/movl    44\(%esp\), %esi/movl 48(%esp), %esi/; s/movl    48\(%esp\), %edi/movl 44(%esp), %edi/
tls-not-passed                  s/movl    44\(%esp\), %esi/xorl %esi, %esi/
arg-not-passed                  s/pushl   \\arg/pushl $0/
positive-errno                  s/addl    \$8, %esp$/cmpl $-4095, %eax; jb 9f; negl %eax; 9: &/
positive-errno-of-clone3        s/jz      \.Lclone3_child/&; cmpl $-4095, %eax; jb 9f; negl %eax; 9:/
null-fn-allowed                 0,/je      \.Lclone_invalid/s//nop/
null-fn-allowed-in-clone3       s/jz      \.Lclone3_invalid/nop/
null-args-allowed               s/je      \.Lclone3_invalid/nop/
two-tasks-on-one-stack          s/cmpl    \$CLONE_VM, %eax/cmpl $-1, %eax/
vfork-refused-the-stack         s/andl    \$\(CLONE_VM \| CLONE_VFORK\), %eax/andl $CLONE_VM, %eax/
clone3-args-written             s/movl    \$NR_clone3, %eax/movl $0, 48(%ebx); &/
clone3-size-fixed               s/movl    \$NR_clone3, %eax/movl $88, %ecx; &/
property-of-another-type        s/PORT_PROPERTY_TYPE 0xc000000/PORT_PROPERTY_TYPE 0xc000001/
no-property-note                s/PORT_PROPERTY_BITS 3 /PORT_PROPERTY_BITS 0 /
no-landing-pad                  s/define LANDING_PAD endbr32/define LANDING_PAD/
unmap-too-little                s/movl    \$NR_munmap, %eax/subl $4096, %ecx; &/
unmap-too-much                  s/movl    \$NR_munmap, %eax/addl $4096, %ecx; &/
unmap-then-read-the-stack       s/movl    %esi, %ebx$/movl 12(%esp), %ebx/
unmap-exit-status-lost          s/movl    %esi, %ebx$/xorl %ebx, %ebx/
syscall-number-lost             /^function clone_trampoline_syscall/,/^end/s/movl    20\(%esp\), %eax/movl $20, %eax/
syscall-fifth-lost              /^function clone_trampoline_syscall/,/^end/s/movl    40\(%esp\), %edi/xorl %edi, %edi/
syscall-sixth-lost              /^function clone_trampoline_syscall/,/^end/s/movl    44\(%esp\), %ebp/xorl %ebp, %ebp/
syscall-positive-errno          /^function clone_trampoline_syscall/,/^end/s/^        ret/        cmpl $-4095, %eax; jb 9f; negl %eax; 9: ret/
syscall-clobbers-ebp            /^function clone_trampoline_syscall/,/^end/s/restore ebp/addl $4, %esp/
syscall-without-landing-pad     /^function clone_trampoline_syscall/,/^end/s/LANDING_PAD/nop; nop; nop; nop/

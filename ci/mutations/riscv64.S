# Wrong edits of asm/riscv64.S, which is riscv32's port, too: a name, then a sed -E script. Not here, because it
# changes nothing that can be observed: flags of clone cut to 32 bits (the kernel does so itself).
no-alignment                    /andi    sp, sp, -16/d
alignment-to-8                  s/andi    sp, sp, -16/andi    sp, sp, -8/
alignment-upwards               s/andi    sp, sp, -16/addi sp, sp, 15; &/
exit-group                      s/NR_exit   93/NR_exit   94/
status-not-passed               s/li      a7, NR_exit  .*/li a0, 0; li a7, NR_exit/
status-of-seven-bits            s/li      a7, NR_exit  .*/andi a0, a0, 127; li a7, NR_exit/
frame-pointer-kept              /li      s0, 0/d
no-trap-behind-the-exit         s/^        ebreak/        nop/
child-writes-above-its-stack    s/mv      a0, t4/sw zero, 0(sp); mv a0, t4/
clobbers-s1                     s/mv      t3, a0/mv s1, a0; mv t3, a0/
clobbers-s1-on-failure          s/beqz    a0, \.Lclone_child/&; bgez a0, 9f; li s1, 0; 9:/
clobbers-s0-on-einval           s/^\.Lclone_invalid:/&\n        li s0, 0/
clobbers-s11-in-clone3          s/mv      t3, a2/mv s11, a2; mv t3, a2/
clobbers-fs0                    s/mv      t3, a0/fcvt.d.w fs0, zero; mv t3, a0/
parent-has-no-caller            s/li      a7, NR_clone$/.cfi_undefined ra; &/
trap-in-the-childs-fde          s/li      a7, NR_clone3/child_begins ra; &/
ptid-and-ctid-swapped           s/mv      a2, a4/mv a2, a6/; s/mv      a4, a6//
ctid-in-the-fourth-place        s/mv      a3, a5/mv a3, a6/; s/mv      a4, a6/mv a4, a5/
tls-not-passed                  s/mv      a3, a5/li a3, 0/
flags-not-passed                0,/mv      a0, a2/s//li a0, 17/
arg-not-passed                  s/mv      a0, t4/li a0, 0/
positive-errno                  s/beqz    a0, \.Lclone_child/&; bgez a0, 9f; neg a0, a0; 9:/
positive-errno-of-clone3        s/beqz    a0, \.Lclone3_child/&; bgez a0, 9f; neg a0, a0; 9:/
result-cut-to-32-bits@riscv64*  s/beqz    a0, \.Lclone_child/&; slli a0, a0, 32; srli a0, a0, 32/
null-fn-allowed                 s/beqz    a0, \.Lclone_invalid//
null-fn-allowed-in-clone3       s/beqz    a2, \.Lclone3_invalid//
null-args-allowed               s/beqz    a0, \.Lclone3_invalid//
two-tasks-on-one-stack          /beq     t0, t1, \.Lclone_invalid/d
vfork-refused-the-stack         s/li      t0, CLONE_VM \| CLONE_VFORK/li t0, CLONE_VM/
clone3-args-written             s/li      a7, NR_clone3/sw zero, 48(a0); &/
clone3-size-fixed               s/li      a7, NR_clone3/li a1, 88; &/
no-landing-pad                  0,/^        LPAD/s//        nop/
unmap-too-little                s/li      a7, NR_munmap/li t0, 4096; sub a1, a1, t0; &/
unmap-too-much                  s/li      a7, NR_munmap/li t0, 4096; add a1, a1, t0; &/
unmap-then-push                 s/li      a7, NR_exit$/sw a2, -4(sp); &/
unmap-exit-status-lost          s/li      a7, NR_exit$/li a0, 0; &/
syscall-number-lost             /^function clone_trampoline_syscall/,/^end/s/mv      a7, a0/li a7, 172/
syscall-fifth-lost              /^function clone_trampoline_syscall/,/^end/s/mv      a4, a5/li a4, 0/
syscall-sixth-lost              /^function clone_trampoline_syscall/,/^end/s/mv      a5, a6/li a5, 0/
syscall-positive-errno          /^function clone_trampoline_syscall/,/^end/s/^        ret/        bgez a0, 9f; neg a0, a0; 9: ret/
syscall-clobbers-s1             /^function clone_trampoline_syscall/,/^end/s/mv      a7, a0/mv s1, a0; &/
syscall-without-landing-pad     /^function clone_trampoline_syscall/,/^end/s/LPAD/nop/

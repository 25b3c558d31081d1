# Wrong edits of asm/mips64.S: a name, then a sed -E script. Not here, because it changes nothing that can
# be observed: flags of clone cut to 32 bits (the kernel does so itself). Nor fn in a register that is lost: a jump to
# what the kernel leaves there ends qemu itself, by an assertion.
no-alignment                    /and     \$sp, \$sp, \$v0/d
alignment-to-8                  s/li      \$v0, -16/li      $v0, -8/
alignment-upwards               s/and     \$sp, \$sp, \$v0/daddiu $sp, $sp, 15; &/
exit-group                      s/NR_exit   5058/NR_exit   5205/
status-not-passed               s/move    \$a0, \$v0/move $a0, $zero/
status-of-seven-bits            s/move    \$a0, \$v0/andi $a0, $v0, 127/
frame-pointer-kept              /move    \$fp, \$zero/d
no-trap-behind-the-exit         s/^        break/        nop/
child-writes-above-its-stack    s/move    \$a0, \$a5/sd $zero, 0($sp); &/
clobbers-s1                     s/move    \$t9, \$a0/move $s1, $a0; &/
clobbers-s1-on-failure          s/^        dsubu   \$v0, \$zero, \$v0/&; li $s1, 0/
clobbers-fp-on-einval           s/^\.Lclone_invalid:/&\n        li $fp, 0/
clobbers-s7-in-clone3           s/move    \$t9, \$a2/move $s7, $a2; &/
clobbers-gp                     s/move    \$t9, \$a0/move $gp, $a0; &/
clobbers-f24                    s/move    \$t9, \$a0/dmtc1 $zero, $f24; &/
parent-has-no-caller            s/li      \$v0, NR_clone$/.cfi_undefined 31; &/
trap-in-the-childs-fde          s/li      \$v0, NR_clone3/child_begins 31; &/
ptid-and-ctid-swapped           s/move    \$a2, \$a4/move $a2, $a6/; s/move    \$a4, \$a6/nop/
ctid-in-the-fourth-place        s/move    \$a3, \$a5/move $v0, $a5; move $a3, $a6/; s/move    \$a4, \$a6/move $a4, $v0/
tls-not-passed                  s/move    \$a3, \$a5/move $a3, $zero/
flags-not-passed                0,/move    \$a0, \$a2/s//li $a0, 18/
arg-not-passed                  s/move    \$a0, \$a5/move $a0, $zero/
arg-in-a-register-that-is-lost  s/move    \$a5, \$v1/move $t2, $v1/; s/move    \$a5, \$a3/move $t2, $a3/; s/move    \$a0, \$a5/move $a0, $t2/
fn-called-but-not-by-t9         s/jalr    \$t9/move $v1, $t9; move $t9, $zero; jalr $v1/
positive-errno                  0,/dsubu   \$v0, \$zero, \$v0/s//nop/
positive-errno-of-clone3        s/^\.Lclone3_result:/        dsubu $v0, $zero, $v0\n&/
success-taken-for-error         0,/beqz    \$a3, \.Lclone_result/s//nop/
result-cut-to-32-bits           0,/dsubu   \$v0, \$zero, \$v0/s//&; dsll $v0, $v0, 32; dsrl $v0, $v0, 32/
null-fn-allowed                 s/beqz    \$a0, \.Lclone_invalid/nop/
null-fn-allowed-in-clone3       s/beqz    \$a2, \.Lclone3_invalid/nop/
null-args-allowed               s/beqz    \$a0, \.Lclone3_invalid/nop/
two-tasks-on-one-stack          /beq     \$v0, \$v1, \.Lclone_invalid/d
vfork-refused-the-stack         s/CLONE_VM \| CLONE_VFORK/CLONE_VM/
clone3-args-written             s/li      \$v0, NR_clone3/sd $zero, 48($a0); &/
clone3-args-read                s/li      \$v0, NR_clone3/ld $v0, 0($a0); &/
clone3-size-fixed               s/li      \$v0, NR_clone3/li $a1, 88; &/
unmap-too-little                s/li      \$v0, NR_munmap/li $v0, 16384; dsubu $a1, $a1, $v0; &/
unmap-too-much                  s/li      \$v0, NR_munmap/li $v0, 16384; daddu $a1, $a1, $v0; &/
unmap-nothing                   s/li      \$v0, NR_munmap/move $a1, $zero; &/
unmap-then-push                 /cfi_undefined 31/,/end_function/s/li      \$v0, NR_exit/sd $a2, -8($sp); &/
unmap-exit-status-lost          /cfi_undefined 31/,/end_function/s/move    \$a0, \$a2/move $a0, $zero/
data-relocation                 s/^function clone3_trampoline/        .data\n        .dword clone_trampoline\n        .text\n&/
needs-libc                      s/^function clone3_trampoline/        jal exit\n&/
syscall-number-lost             /^function clone_trampoline_syscall/,/^end/s/move    \$v0, \$a0/li $v0, 5038/
syscall-fifth-lost              /^function clone_trampoline_syscall/,/^end/s/move    \$a4, \$a5/move $a4, $zero/
syscall-sixth-lost              /^function clone_trampoline_syscall/,/^end/s/move    \$a5, \$a6/move $a5, $zero/
syscall-positive-errno          /^function clone_trampoline_syscall/,/^end/s/dsubu   .*//
syscall-clobbers-s0             /^function clone_trampoline_syscall/,/^end/s/move    \$v0, \$a0/move $s0, $a0; &/

# Wrong edits of asm/mips.S: a name, then a sed -E script. Flags and results have 32 bits here. Not here,
# because they change nothing that can be observed: a child's frame of 16 bytes, an alignment upwards (the 32 bytes of
# the frame make up for it), and a stack for the exit of unmap_exit (today's kernels read zeros where there is no
# stack). Nor fn in a register that is lost, see mips64.S.
no-alignment                    /and     \$sp, \$sp, \$v0/d
alignment-to-4                  s/li      \$v0, -8/li      $v0, -4/
no-home-area                    s/addiu   \$sp, \$sp, -SYSCALL_FRAME .*//
home-area-of-8                  s/\$sp, -SYSCALL_FRAME /$sp, -8 /
exit-group                      s/NR_exit   4001/NR_exit   4246/
status-not-passed               s/move    \$a0, \$v0/move $a0, $zero/
status-of-seven-bits            s/move    \$a0, \$v0/andi $a0, $v0, 127/
frame-pointer-kept              /move    \$fp, \$zero/d
no-trap-behind-the-exit         s/^        break/        nop/
child-writes-above-its-stack    s/move    \$a0, \\arg/sw $zero, SYSCALL_FRAME($sp); &/
clobbers-s1                     s/move    \$t9, \$a0/move $s1, $a0; &/
clobbers-s0                     s/lw      \$s0, SAVED_S0\(\$sp\)//
clobbers-s1-on-failure          s/^        subu    \$v0, \$zero, \$v0/&; li $s1, 0/
clobbers-fp-on-einval           s/^\.Lclone_invalid:/&\n        li $fp, 0/
clobbers-s7-in-clone3           s/move    \$t9, \$a2/move $s7, $a2; &/
clobbers-f20                    s/move    \$t9, \$a0/mtc1 $zero, $f20; &/
parent-state-below-sp           s/sw      \$s0, SAVED_S0/sw $s0, -64/; s/lw      \$s0, SAVED_S0/lw $s0, -64/; /cfi_rel_offset/d
the-callers-arguments-written   s/sw      \$v0, 16\(\$sp\)/&; sw $v0, FRAME + 16($sp)/
the-callers-home-area-written   s/sw      \$v0, 16\(\$sp\)/&; sw $v0, FRAME + 4($sp)/
parents-cfa-not-adjusted        s/\.cfi_adjust_cfa_offset FRAME.*//
parents-s0-not-found            /cfi_rel_offset 16,/d
parent-has-no-caller            s/li      \$v0, NR_clone$/.cfi_undefined 31; &/
trap-in-the-childs-fde          s/li      \$v0, NR_clone3/child_begins 31; &/
ptid-and-ctid-swapped           s/lw      \$a2, FRAME \+ 16/lw $a2, FRAME + 24/; s/lw      \$v0, FRAME \+ 24/lw $v0, FRAME + 16/
tls-and-ctid-swapped            s/lw      \$a3, FRAME \+ 20/lw $a3, FRAME + 24/; s/lw      \$v0, FRAME \+ 24/lw $v0, FRAME + 20/
ctid-not-passed                 /sw      \$v0, 16\(\$sp\)/d
ctid-beside-its-place           s/sw      \$v0, 16\(\$sp\)/sw $v0, 20($sp)/
tls-not-passed                  s/lw      \$a3, FRAME \+ 20.*/move $a3, $zero/
flags-not-passed                0,/move    \$a0, \$a2/s//li $a0, 18/
arg-not-passed                  s/move    \$a0, \\arg/move $a0, $zero/
arg-in-a-register-that-is-lost  s/move    \$s0, \$a3/move $t2, $a3/; s/child   \$s0/child   $t2/
arg-of-clone3-is-lost           s/move    \$a2, \$a3/nop/; s/child   \$a2/child   $a3/
fn-called-but-not-by-t9         s/jalr    \$t9/move $v1, $t9; move $t9, $zero; jalr $v1/
positive-errno                  0,/subu    \$v0, \$zero, \$v0/s//nop/
positive-errno-of-clone3        s/^\.Lclone3_result:/        subu $v0, $zero, $v0\n&/
success-taken-for-error         0,/beqz    \$a3, \.Lclone_result/s//nop/
null-fn-allowed                 s/beqz    \$a0, \.Lclone_invalid/nop/
null-fn-allowed-in-clone3       s/beqz    \$a2, \.Lclone3_invalid/nop/
null-args-allowed               s/beqz    \$a0, \.Lclone3_invalid/nop/
two-tasks-on-one-stack          /beq     \$v0, \$v1, \.Lclone_invalid/d
vfork-refused-the-stack         s/CLONE_VM \| CLONE_VFORK/CLONE_VM/
clone3-args-written             s/li      \$v0, NR_clone3/sw $zero, 48($a0); sw $zero, 52($a0); &/
clone3-args-read                s/li      \$v0, NR_clone3/lw $v0, 0($a0); &/
clone3-size-fixed               s/li      \$v0, NR_clone3/li $a1, 88; &/
unmap-too-little                s/li      \$v0, NR_munmap/addiu $a1, $a1, -16384; &/
unmap-too-much                  s/li      \$v0, NR_munmap/addiu $a1, $a1, 16384; &/
unmap-nothing                   s/li      \$v0, NR_munmap/move $a1, $zero; &/
unmap-then-push                 s/^        bal     1f/        sw $a2, -8($sp); &/
unmap-exit-status-lost          /cfi_undefined 31/,/end_function/s/move    \$a0, \$a2/move $a0, $zero/
data-relocation                 s/^function clone3_trampoline/        .data\n        .word clone_trampoline\n        .text\n&/
needs-libc                      s/^function clone3_trampoline/        jal exit\n&/
syscall-number-lost             /^function clone_trampoline_syscall/,/^end/s/move    \$v0, \$a0/li $v0, 4020/
syscall-fourth-lost             /^function clone_trampoline_syscall/,/^end/s/lw      \$a3, .*/move $a3, $zero/
syscall-fifth-lost              /^function clone_trampoline_syscall/,/^end/s/sw      \$v0, 16.*/sw $zero, 16($sp)/
syscall-sixth-lost              /^function clone_trampoline_syscall/,/^end/s/sw      \$v1, 20.*/sw $zero, 20($sp)/
syscall-positive-errno          /^function clone_trampoline_syscall/,/^end/s/subu    .*//
syscall-in-the-callers-frame    /^function clone_trampoline_syscall/,/^end/s/, -?SYSCALL_FRAME$/, 0/; s/SYSCALL_FRAME \+ //

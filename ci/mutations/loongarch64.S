# Wrong edits of asm/loongarch64.S: a name, then a sed -E script. Not here, because it changes nothing that can
# be observed: flags of clone cut to 32 bits (the kernel does so itself).
no-alignment                    /bstrins\.d \$sp/d
alignment-to-8                  s/bstrins\.d \$sp, \$zero, 3/bstrins.d $sp, $zero, 2/
alignment-upwards               s/bstrins\.d \$sp/addi.d $sp, $sp, 15; &/
exit-group                      s/NR_exit   93/NR_exit   94/
status-not-passed               s/li\.w    \$a7, NR_exit  .*/move $a0, $zero; li.w $a7, NR_exit/
status-of-seven-bits            s/li\.w    \$a7, NR_exit  .*/andi $a0, $a0, 127; li.w $a7, NR_exit/
frame-pointer-kept              /move    \$fp, \$zero/d
no-trap-behind-the-exit         s/^        break   0/        nop/
child-writes-above-its-stack    s/move    \$a0, \\arg/st.d $zero, $sp, 0; &/
fn-and-arg-in-lost-registers    s/child   \$a5, \$a6/child   $t0, $t1/
arg-in-a-lost-register          s/child   \$a5, \$a6/child   $a5, $t1/
clobbers-s0                     s/move    \$t0, \$a0/move $s0, $a0; &/
clobbers-s0-on-failure          s/beqz    \$a0, \.Lclone_child/&; bge $a0, $zero, 9f; move $s0, $zero; 9:/
clobbers-fp-on-einval           s/^\.Lclone_invalid:/&\n        move $fp, $zero/
clobbers-s8-in-clone3           s/li\.w    \$a7, NR_clone3/move $s8, $a2; &/
clobbers-fs0                    s/move    \$t0, \$a0/movgr2fr.d $fs0, $zero; &/
parent-has-no-caller            s/li\.w    \$a7, NR_clone$/.cfi_undefined 1; &/
trap-in-the-childs-fde          s/li\.w    \$a7, NR_clone3/child_begins 1; &/
ptid-and-ctid-swapped           s/move    \$a2, \$a4/move $a2, $a6/; s/move    \$a3, \$a6/move $a3, $a4/
tls-in-the-fourth-place         s/move    \$a3, \$a6/move $a3, $a5/; s/move    \$a4, \$a5/move $a4, $a6/
ctid-not-passed                 s/move    \$a3, \$a6/move $a3, $zero/
tls-not-passed                  s/move    \$a4, \$a5/move $a4, $zero/
flags-not-passed                0,/move    \$a0, \$a2/s//li.w $a0, 17/
arg-not-passed                  s/move    \$a0, \\arg/move $a0, $zero/
positive-errno                  s/beqz    \$a0, \.Lclone_child/&; bge $a0, $zero, 9f; sub.d $a0, $zero, $a0; 9:/
positive-errno-of-clone3        s/beqz    \$a0, \.Lclone3_child/&; bge $a0, $zero, 9f; sub.d $a0, $zero, $a0; 9:/
result-cut-to-32-bits           s/beqz    \$a0, \.Lclone_child/&; bstrpick.d $a0, $a0, 31, 0/
einval-cut-to-32-bits           s/^\.Lclone_invalid:/&\n        li.d $a0, 0xffffffea; ret/
null-fn-allowed                 s/beqz    \$a0, \.Lclone_invalid//
null-fn-allowed-in-clone3       s/beqz    \$a2, \.Lclone3_invalid//
null-args-allowed               s/beqz    \$a0, \.Lclone3_invalid//
two-tasks-on-one-stack          /beq     \$t0, \$t1, \.Lclone_invalid/d
vfork-refused-the-stack         s/li\.w    \$t0, CLONE_VM \| CLONE_VFORK/li.w $t0, CLONE_VM/
clone3-args-written             s/li\.w    \$a7, NR_clone3/st.d $zero, $a0, 48; &/
clone3-args-read                s/li\.w    \$a7, NR_clone3/ld.d $t0, $a0, 0; &/
clone3-size-fixed               s/li\.w    \$a7, NR_clone3/li.w $a1, 88; &/
unmap-too-little                s/li\.w    \$a7, NR_munmap/li.w $t0, 16384; sub.d $a1, $a1, $t0; &/
unmap-too-much                  s/li\.w    \$a7, NR_munmap/li.w $t0, 16384; add.d $a1, $a1, $t0; &/
unmap-then-push                 s/li\.w    \$a7, NR_exit$/st.d $a2, $sp, -8; &/
unmap-exit-status-lost          s/li\.w    \$a7, NR_exit$/move $a0, $zero; &/
data-relocation                 s/^function clone3_trampoline/        .data\n        .dword clone_trampoline\n        .text\n&/
needs-libc                      s/^function clone3_trampoline/        bl exit\n&/
syscall-number-lost             /^function clone_trampoline_syscall/,/^end/s/move    \$a7, \$a0/li.w $a7, 172/
syscall-fifth-lost              /^function clone_trampoline_syscall/,/^end/s/move    \$a4, \$a5/move $a4, $zero/
syscall-sixth-lost              /^function clone_trampoline_syscall/,/^end/s/move    \$a5, \$a6/move $a5, $zero/
syscall-positive-errno          /^function clone_trampoline_syscall/,/^end/s/^        ret/        bgez $a0, 9f; sub.d $a0, $zero, $a0; 9: ret/
syscall-clobbers-s0             /^function clone_trampoline_syscall/,/^end/s/move    \$a7, \$a0/move $s0, $a0; &/

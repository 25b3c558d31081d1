# Wrong edits of asm/s390x.S: a name, then a sed -E script. Not here, because it changes nothing that can be observed:
# flags of clone cut to 32 bits (the kernel does so itself). Nor the parent's unwind rule of r6, an argument's register,
# which the suite fills with the argument and not with a pattern.
no-alignment                    /nill    %r15, 0xfff8/d
alignment-to-4                  s/nill    %r15, 0xfff8/nill    %r15, 0xfffc/
alignment-upwards               s/nill    %r15, 0xfff8/aghi %r15, 7; &/
no-save-area                    /aghi    %r15, -CALLER_FRAME/d
save-area-too-small             s/aghi    %r15, -CALLER_FRAME/aghi %r15, -96/
back-chain-not-written          s/xc      0\(8, %r15\), 0\(%r15\)/nopr/
back-chain-kept                 s/xc      0\(8, %r15\), 0\(%r15\)/stg %r15, 0(%r15)/
exit-group                      s/NR_exit   1$/NR_exit   248/
status-not-passed               s/lghi    %r1, NR_exit  .*/lghi %r2, 0; lghi %r1, NR_exit/
status-of-seven-bits            s/lghi    %r1, NR_exit  .*/nill %r2, 127; lghi %r1, NR_exit/
no-trap-behind-the-exit         s/^        j       \.\+2/        nopr/
child-writes-above-its-stack    s/nill    %r15, 0xfff8/&; mvghi 0(%r15), 0/
child-returns                   s/^        j       \.\+2/        br      %r14/
fn-called-through-r0            s/basr    %r14, %r1/basr %r14, %r0/
r6-not-restored                 s/lmg     %r6, %r7, SAVE_R6\(%r15\)/lg %r7, SAVE_R7(%r15)/
r6-lost-on-failure              s/lmg     %r6, %r7, SAVE_R6\(%r15\)/lg %r7, SAVE_R7(%r15); ltgr %r2, %r2; blr %r14; lg %r6, SAVE_R6(%r15)/
r7-not-restored                 s/lmg     %r6, %r7, SAVE_R6\(%r15\)/lg %r6, SAVE_R6(%r15)/
r7-lost-on-failure              s/lmg     %r6, %r7, SAVE_R6\(%r15\)/lg %r6, SAVE_R6(%r15); ltgr %r2, %r2; blr %r14; lg %r7, SAVE_R7(%r15)/
clobbers-r7-on-einval           s/^\.Lclone_invalid:/&\n        lghi %r7, 0/
clobbers-r13-in-clone3          s/lghi    %r1, NR_clone3/lgr %r13, %r5; &/
clobbers-f8                     s/lgr     %r7, %r5/lzdr %f8; &/
parent-state-below-sp           s/SAVE_R6\(%r15\)/SAVE_R6-CALLER_FRAME(%r15)/
parents-r7-not-found            /cfi_offset 7,/d
parent-has-no-caller            s/lghi    %r1, NR_clone$/.cfi_undefined 14; &/
trap-in-the-childs-fde          s/lghi    %r1, NR_clone3/child_begins 14; &/
ptid-and-ctid-swapped           s/lgr     %r4, %r6/lg %r4, 168(%r15)/; s/lg      %r5, 168\(%r15\)/lg %r5, SAVE_R6(%r15)/
tls-and-ctid-swapped            s/lg      %r6, 160/lg %r6, 168/; s/lg      %r5, 168/lg %r5, 160/
tls-not-passed                  s/lg      %r6, 160\(%r15\)/lghi %r6, 0/
stack-and-flags-swapped         s/ltgr    %r2, %r3$/ltgr %r3, %r3/; s/lgr     %r3, %r4/lgr %r2, %r4/
flags-not-passed                s/lgr     %r3, %r4/lghi %r3, 17/
arg-not-passed                  s/lgr     %r2, \\arg/lghi %r2, 0/
positive-errno                  s/je      \.Lclone_child/&; lpgr %r2, %r2/
positive-errno-of-clone3        s/je      \.Lclone3_child/&; lpgr %r2, %r2/
result-cut-to-32-bits           s/je      \.Lclone_child/&; llgfr %r2, %r2/
null-fn-allowed                 0,/je      \.Lclone_invalid/s//nopr/
null-fn-allowed-in-clone3       s/ltgr    %r0, %r4/lgr %r0, %r4; ltgr %r15, %r15/
null-args-allowed               0,/je      \.Lclone3_invalid/s//nopr/
two-tasks-on-one-stack          s/cghi    %r1, CLONE_VM/cghi %r1, 1/
vfork-refused-the-stack         s/lghi    %r1, CLONE_VM \| CLONE_VFORK/lghi %r1, CLONE_VM/
clone3-args-written             s/lghi    %r1, NR_clone3/mvghi 48(%r2), 0; &/
clone3-args-read                s/lghi    %r1, NR_clone3/lg %r1, 0(%r2); &/
clone3-size-fixed               s/lghi    %r1, NR_clone3/lghi %r3, 88; &/
unmap-too-little                s/lghi    %r1, NR_munmap/aghi %r3, -4096; &/
unmap-too-much                  s/lghi    %r1, NR_munmap/aghi %r3, 4096; &/
unmap-then-push                 s/lghi    %r1, NR_exit$/stg %r4, -8(%r15); &/
unmap-exit-status-lost          s/lgr     %r2, %r4/lghi %r2, 0/
data-relocation                 s/^function clone3_trampoline/        .data\n        .quad clone_trampoline\n        .text\n&/
needs-libc                      s/^function clone3_trampoline/        brasl %r14, exit@PLT\n&/
syscall-number-lost             /^function clone_trampoline_syscall/,/^end/s/lgr     %r1, %r2/lghi %r1, 20/
syscall-fifth-lost              /^function clone_trampoline_syscall/,/^end/s/lg      %r6, 160.*/lghi %r6, 0/
syscall-sixth-lost              /^function clone_trampoline_syscall/,/^end/s/lg      %r7, 168.*/lghi %r7, 0/
syscall-positive-errno          /^function clone_trampoline_syscall/,/^end/s/svc     0/&; ltgr %r2, %r2; jnl 9f; lcgr %r2, %r2; 9:/
syscall-result-cut              /^function clone_trampoline_syscall/,/^end/s/svc     0/&; llgfr %r2, %r2/
syscall-clobbers-r7             /^function clone_trampoline_syscall/,/^end/s/lmg     .*/lg %r6, SAVE_R6(%r15)/

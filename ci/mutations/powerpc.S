# Wrong edits of asm/powerpc.S: a name, then a sed -E script. Not here, because they change nothing that can be
# observed: flags of clone cut to 32 bits, lr stored in the caller's slot. The parent's state below sp is 64 bytes
# lower than its frame, as the child's own has nothing in its upper 8 bytes.
no-alignment                    /clrrwi  %r1, %r1, 4/d
alignment-to-8                  s/clrrwi  %r1, %r1, 4/clrrwi  %r1, %r1, 3/
alignment-upwards               s/clrrwi  %r1, %r1, 4/addi %r1, %r1, 15; &/
no-frame                        s/stwu    %r0, -CHILD_FRAME\(%r1\) /stw %r0, 0(%r1) /
back-chain-kept                 s/stwu    %r0, -CHILD_FRAME\(%r1\) /stwu %r1, -CHILD_FRAME(%r1) /
back-chain-not-written          s/stwu    %r0, -CHILD_FRAME\(%r1\) /addi %r1, %r1, -CHILD_FRAME /
exit-group                      s/NR_exit   1$/NR_exit   234/
status-not-passed               s/li      %r0, NR_exit  .*/li %r3, 0; li %r0, NR_exit/
status-of-seven-bits            s/li      %r0, NR_exit  .*/andi. %r3, %r3, 127; li %r0, NR_exit/
no-trap-behind-the-exit         s/^        trap/        nop/
child-writes-above-its-stack    s/clrrwi  %r1, %r1, 4/li %r0, 0; stw %r0, 0(%r1); &/
child-returns                   s/^        trap/        blr/
clobbers-r14                    0,/mr      %r30, %r3/s//mr %r14, %r3; &/
clobbers-r29-on-failure         s/^        neg     %r3, %r3/        li %r29, 0; &/
clobbers-r31-on-einval          s/^\.Lclone_invalid:/&\n        li %r31, 0/
clobbers-r30-in-clone3          0,/mr      %r30, %r5/s//&; stw %r5, 8(%r1)/
r31-not-restored                s/lwz     %r31, 12\(%r1\)/nop/
clobbers-cr4                    s/beq     %cr1, \.Lclone_child/cmpwi %cr4, %r3, 0; &/
clobbers-f14                    0,/mr      %r30, %r3/s//lfd %f14, 0(%r1); &/
parent-state-below-sp           s/stwu    %r1, -FRAME\(%r1\)/nop/; s/addi    %r1, %r1, FRAME/nop/; s/(stw|lwz)     (%r3.), (8|12)\(%r1\)/\1 \2, \3-FRAME-64(%r1)/; s/cfi_offset 3.*/& - 64/; /def_cfa_offset/d
fn-in-a-register-of-no-call     s/mr      %r30, %r3$/mr %r12, %r3/; s/mtctr   %r30/mtctr %r12/
parents-cfa-not-adjusted        s/\.cfi_def_cfa_offset FRAME.*//
parents-r30-not-found           /cfi_offset 30,/d
parent-has-no-caller            s/li      %r0, NR_clone$/.cfi_undefined lr; &/
trap-in-the-childs-fde          s/li      %r0, NR_clone3/child_begins lr; &/
ptid-and-ctid-swapped           s/mr      %r5, %r7/mr %r5, %r9/; s/mr      %r7, %r9/nop/
ctid-in-the-fourth-place        s/mr      %r6, %r8/mr %r6, %r9/; s/mr      %r7, %r9/mr %r7, %r8/
tls-not-passed                  s/mr      %r6, %r8/li %r6, 0/
flags-not-passed                s/mr      %r3, %r5/li %r3, 17/
arg-not-passed                  0,/mr      %r3, %r31/s//li %r3, 0/
positive-errno                  s/^        neg     %r3, %r3/        nop/
errno-told-by-its-size          s/^        bnslr .*/        cmpwi %r3, 133; bgtlr/
every-result-negated            s/^        bnslr .*/        nop/
error-flag-overwritten          s/cmpwi   %cr1, /cmpwi %cr0, /; s/beq     %cr1, /beq %cr0, /
result-cut-to-six-bits          s/cmpwi   %cr1, %r3, 0 /clrlwi %r3, %r3, 26; &/
null-fn-allowed                 0,/beq     \.Lclone_invalid/s//nop/
null-fn-allowed-in-clone3       s/cmpwi   %r5, 0/cmpwi %r1, 0/
null-args-allowed               0,/beq     \.Lclone3_invalid/s//nop/
two-tasks-on-one-stack          s/cmpwi   %r0, CLONE_VM/cmpwi %r0, 1/
vfork-refused-the-stack         s/andi\.   %r0, %r5, CLONE_VM \| CLONE_VFORK/andi. %r0, %r5, CLONE_VM/
clone3-args-written             s/li      %r0, NR_clone3/li %r0, 0; stw %r0, 52(%r3); &/
clone3-stack-size-lowered       s/li      %r0, NR_clone3/lwz %r5, 52(%r3); addi %r5, %r5, -16; stw %r5, 52(%r3); &/
clone3-args-read                s/li      %r0, NR_clone3/lwz %r0, 0(%r3); &/
clone3-size-fixed               s/li      %r0, NR_clone3/li %r4, 88; &/
unmap-too-little                s/li      %r0, NR_munmap/addis %r4, %r4, -1; &/
unmap-too-much                  s/li      %r0, NR_munmap/addis %r4, %r4, 1; &/
unmap-then-push                 s/li      %r0, NR_exit$/stw %r3, -8(%r1); &/
unmap-exit-status-lost          /^function unmap_exit/,$s/mr      %r3, %r31/mr %r3, %r5/
data-relocation                 s/^function clone3_trampoline/        .data\n        .long clone_trampoline\n        .text\n&/
needs-libc                      s/^function clone3_trampoline/        bl exit\n        nop\n&/
syscall-number-lost             /^function clone_trampoline_syscall/,/^end/s/mr      %r0, %r3/li %r0, 20/
syscall-fifth-lost              /^function clone_trampoline_syscall/,/^end/s/mr      %r7, %r8/li %r7, 0/
syscall-sixth-lost              /^function clone_trampoline_syscall/,/^end/s/mr      %r8, %r9/li %r8, 0/
syscall-positive-errno          /^function clone_trampoline_syscall/,/^end/s/neg     %r3, %r3//
syscall-clobbers-r31            /^function clone_trampoline_syscall/,/^end/s/mr      %r0, %r3/mr %r31, %r3; &/

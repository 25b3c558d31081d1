# Wrong edits of asm/arm.S: a name, then a sed -E script. Flags and results have 32 bits here.
no-alignment                    s/bic     r0, r0, #7 .*//
alignment-to-4                  s/bic     r0, r0, #7 /bic r0, r0, #3 /
no-room-above-fn                /sub     r0, r0, #16/d
exit-group                      s/NR_exit   1$/NR_exit   248/
status-not-passed               s/mov     r7, #NR_exit  .*/mov r0, #0; mov r7, #NR_exit/
status-of-seven-bits            s/mov     r7, #NR_exit  .*/and r0, r0, #127; mov r7, #NR_exit/
frame-pointer-of-arm-kept       /mov     r11, #0/d
frame-pointer-of-thumb-kept     /mov     r7, #0 /d
no-trap-behind-the-exit         s/^        udf     #0/        nop/
child-writes-above-its-stack    s/mov     r0, \\arg/str r0, [sp, #16]; &/
state-of-fn-not-kept            s/^        (blx|bx)      *\\register/        orr \\register, \\register, #1; &/
state-of-fn-cleared             s/^        (blx|bx)      *\\register/        bic \\register, \\register, #1; &/
clobbers-r4                     s/pop     \{r4, r5, r7\}/add sp, sp, #4; pop {r5, r7}/
clobbers-r5                     s/pop     \{r4, r5, r7\}/pop {r4}; add sp, sp, #4; pop {r7}/
clobbers-r7                     s/pop     \{r4, r5, r7\}/pop {r4, r5}; add sp, sp, #4/
clobbers-r6                     s/mov     ip, r0/mov r6, r0; &/
clobbers-r4-on-failure          s/pop     \{r4, r5, r7\}/cmp r0, #0; bpl 9f; str r0, [sp]; 9: &/
clobbers-r11-on-einval          s/^\.Lclone_invalid:/&\n        mov r11, #0/
clobbers-r7-in-clone3           s/mov     r7, ip/nop/
clobbers-r8-in-clone3           s/mov     ip, r7 /mov r8, r7; &/
clobbers-d8                     s/mov     ip, r0/#ifdef __ARM_FP\n        vmov d8, r0, r0\n#else\n        mov r6, r0\n#endif\n        &/
parent-state-below-sp           s/push    \{r4, r5, r7\} /sub sp, sp, #32; push {r4, r5, r7}; add sp, sp, #44 /; s/pop     \{r4, r5, r7\}/sub sp, sp, #44; pop {r4, r5, r7}; add sp, sp, #32/; s/\[sp, #12\]/[sp]/; s/\[sp, #16\]/[sp, #4]/; s/\[sp, #20\]/[sp, #8]/; /cfi_adjust_cfa_offset|cfi_rel_offset/d
ptid-and-ctid-swapped           s/ldr     r2, \[sp, #12\]/ldr r2, [sp, #20]/; s/ldr     r4, \[sp, #20\]/ldr r4, [sp, #12]/
tls-and-ctid-swapped            s/ldr     r3, \[sp, #16\]/ldr r3, [sp, #20]/; s/ldr     r4, \[sp, #20\]/ldr r4, [sp, #16]/
tls-not-passed                  s/ldr     r3, \[sp, #16\]/mov r3, #0/
flags-not-passed                0,/mov     r0, r2$/s//mov r0, #17/
arg-not-passed                  s/mov     r0, \\arg/mov r0, #0/
positive-errno                  s/beq     \.Lclone_child/&; bpl 9f; rsb r0, r0, #0; 9:/
positive-errno-of-clone3        s/beq     \.Lclone3_child/&; bpl 9f; rsb r0, r0, #0; 9:/
null-fn-allowed                 0,/beq     \.Lclone_invalid/s//nop/
null-size-refused-for-fn        s/cmp     r2, #0/cmp r1, #0/
null-args-allowed               0,/beq     \.Lclone3_invalid/s//nop/
two-tasks-on-one-stack          s/tst     r2, #CLONE_VFORK/b .Lclone_stack_is_right/
vfork-refused-the-stack         s/tst     r2, #CLONE_VFORK/b .Lclone_invalid/
copy-refused-the-stack          s/tst     r2, #CLONE_VM$/b .Lclone_invalid/
clone3-args-written             s/mov     ip, r7 /str r0, [r0, #48]; &/
clone3-args-read                s/mov     ip, r7 /ldr ip, [r0]; &/
clone3-size-fixed               s/mov     ip, r7 /mov r1, #88; &/
clone3-number-of-one-part       s/orr     r7, r7, .*//
can-be-unwound                  /\.cantunwind/d
unmap-too-little                s/mov     r7, #NR_munmap/sub r1, r1, #4096; &/
unmap-too-much                  s/mov     r7, #NR_munmap/add r1, r1, #4096; &/
unmap-then-push                 s/mov     r7, #NR_exit$/push {r2}; &/
unmap-exit-status-lost          s/mov     r7, #NR_exit$/mov r0, #0; &/
data-relocation                 s/^ehabi_function clone3_trampoline/        .data\n        .word clone_trampoline\n        .text\n&/
syscall-number-lost             /^(ehabi_)?function clone_trampoline_syscall/,/^end/s/mov     r7, r0/mov r7, #20/
syscall-fourth-lost             /^(ehabi_)?function clone_trampoline_syscall/,/^end/s/ldr     r3, \[sp, #12\]/mov r3, #0/
syscall-fifth-lost              /^(ehabi_)?function clone_trampoline_syscall/,/^end/s/ldr     r4, \[sp, #16\]/mov r4, #0/
syscall-sixth-lost              /^(ehabi_)?function clone_trampoline_syscall/,/^end/s/ldr     r5, \[sp, #20\]/mov r5, #0/
syscall-positive-errno          /^(ehabi_)?function clone_trampoline_syscall/,/^end/s/svc     #0/&; cmn r0, #4096; bcc 9f; rsb r0, r0, #0; 9:/
syscall-clobbers-r7             /^(ehabi_)?function clone_trampoline_syscall/,/^end/s/pop     \{r4, r5, r7\}/pop {r4, r5, ip}/

# Wrong edits of asm/aarch64.S: a name, then a sed -E script. Not here, because it changes nothing that can
# be observed: flags of clone cut to 32 bits (the kernel does so itself).
no-alignment                    s/and     sp, x8, #-16 .*//
alignment-to-8                  s/and     sp, x8, #-16/and     sp, x8, #-8/
alignment-upwards               s/mov     x8, sp /add x8, sp, #15 /
exit-group                      s/NR_exit   93/NR_exit   94/
status-not-passed               s/mov     x8, #NR_exit  .*/mov x0, #0; mov x8, #NR_exit/
status-of-seven-bits            s/mov     x8, #NR_exit  .*/and x0, x0, #127; mov x8, #NR_exit/
frame-pointer-kept              /mov     x29, #0/d
no-trap-behind-the-exit         s/^        brk     #1/        nop/
child-writes-above-its-stack    s/mov     x0, x10/str xzr, [sp]; mov x0, x10/
clobbers-x19                    s/mov     x9, x0/mov x19, x0; mov x9, x0/
clobbers-x19-on-failure         s/cbz     x0, \.Lclone_child/&; tbz x0, #63, 9f; mov x19, #0; 9:/
clobbers-x29-on-einval          s/^\.Lclone_invalid:/&\n        mov x29, #0/
clobbers-x20-in-clone3          s/mov     x9, x2/mov x20, x2; mov x9, x2/
clobbers-d8                     s/mov     x9, x0/fmov d8, xzr; mov x9, x0/
parent-has-no-caller            s/mov     x8, #NR_clone$/.cfi_undefined x30; &/
trap-in-the-childs-fde          s/mov     x8, #NR_clone3/child_begins x30; &/
ptid-and-ctid-swapped           s/mov     x2, x4/mov x2, x6/; s/mov     x4, x6//
tls-and-ctid-swapped            s/mov     x3, x5/mov x3, x6/; s/mov     x4, x6/mov x4, x5/
tls-not-passed                  s/mov     x3, x5/mov x3, #0/
flags-not-passed                0,/mov     x0, x2$/s//mov x0, #17/
arg-not-passed                  s/mov     x0, x10/mov x0, #0/
positive-errno                  s/cbz     x0, \.Lclone_child/&; tbz x0, #63, 9f; neg x0, x0; 9:/
positive-errno-of-clone3        s/cbz     x0, \.Lclone3_child/&; tbz x0, #63, 9f; neg x0, x0; 9:/
result-cut-to-32-bits           s/cbz     x0, \.Lclone_child/&; mov w0, w0/
null-fn-allowed                 s/cbz     x0, \.Lclone_invalid//
null-fn-allowed-in-clone3       s/cbz     x2, \.Lclone3_invalid//
null-args-allowed               s/cbz     x0, \.Lclone3_invalid//
two-tasks-on-one-stack          /tbz     x2, #14/d
vfork-refused-the-stack         s/tbz     x2, #14, \.Lclone_invalid/b .Lclone_invalid/
clone3-args-written             s/mov     x8, #NR_clone3/str xzr, [x0, #48]; &/
clone3-size-fixed               s/mov     x8, #NR_clone3/mov x1, #88; &/
property-of-another-type        s/PORT_PROPERTY_TYPE 0xc000000/PORT_PROPERTY_TYPE 0xc000001/
no-property-note                s/PORT_PROPERTY_BITS 7 /PORT_PROPERTY_BITS 0 /
no-pac-in-the-note              s/PORT_PROPERTY_BITS 7 /PORT_PROPERTY_BITS 5 /
no-landing-pad                  0,/^        BTI_C/s//        nop/
unmap-too-little                s/mov     x8, #NR_munmap/sub x1, x1, #4096; &/
unmap-too-much                  s/mov     x8, #NR_munmap/add x1, x1, #4096; &/
unmap-then-push                 s/mov     x8, #NR_exit$/str x2, [sp, #-16]!; &/
unmap-exit-status-lost          s/mov     x8, #NR_exit$/mov x0, #0; &/
syscall-number-lost             /^function clone_trampoline_syscall/,/^end/s/mov     x8, x0/mov x8, #172/
syscall-fifth-lost              /^function clone_trampoline_syscall/,/^end/s/mov     x4, x5/mov x4, #0/
syscall-sixth-lost              /^function clone_trampoline_syscall/,/^end/s/mov     x5, x6/mov x5, #0/
syscall-positive-errno          /^function clone_trampoline_syscall/,/^end/s/^        ret/        tbz x0, #63, 9f; neg x0, x0; 9: ret/
syscall-result-cut              /^function clone_trampoline_syscall/,/^end/s/^        ret/        mov w0, w0; ret/
syscall-clobbers-x19            /^function clone_trampoline_syscall/,/^end/s/mov     x8, x0/mov x19, x0; &/
syscall-without-landing-pad     /^function clone_trampoline_syscall/,/^end/s/BTI_C/nop/

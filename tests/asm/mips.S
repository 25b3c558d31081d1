/* Offsets into struct Call and struct Entry of lib.rs are multiples of the word, 4 bytes. */
#if defined(__mips__) && _MIPS_SIM == _ABIO32
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0
#define PORT_PROPERTY_BITS 0
#include "port.h"

#define PATTERN 0x5aa5c33c
#define WORDS   64

/* t1 collects every bit that differs from the pattern in t0 plus n */
.macro differs register, n
        addiu   $t2, \register, -\n
        xor     $t2, $t2, $t0
        or      $t1, $t1, $t2
.endm

/* The frame: 0 the area of a0-a3, which is the callee's by the ABI but not to be touched by C1; 16 the other
 * three arguments; 28 a patterned word, which the kernel reads; 32 the struct Call; 40 the patterned words;
 * then ra, s0-s7 and fp; then f20 to f30, the even ones alone as doubles: all that every variant of the ABI
 * has in common. */
#define SAVED  (40 + 4 * WORDS)
#define DOUBLE (SAVED + 40)
#define FRAME  (DOUBLE + 48)
function probe_call
        addiu   $sp, $sp, -FRAME
        .cfi_def_cfa_offset FRAME
        sw      $ra, SAVED($sp)
        .cfi_offset 31, SAVED - FRAME
        .irp n, 16, 17, 18, 19, 20, 21, 22, 23
        sw      $\n, SAVED + 4 + 4 * (\n - 16)($sp)
        .endr
        sw      $fp, SAVED + 36($sp)
        .irp n, 20, 22, 24, 26, 28, 30
        sdc1    $f\n, DOUBLE + 4 * (\n - 20)($sp)
        .endr
        li      $t0, PATTERN
        move    $t1, $sp
        addiu   $t2, $sp, SAVED
1:      sw      $t0, 0($t1)
        addiu   $t1, $t1, 4
        bne     $t1, $t2, 1b
        /* any of the patterned words, twice, makes a double */
        .irp n, 20, 22, 24, 26, 28, 30
        ldc1    $f\n, 40($sp)
        .endr
        sw      $a0, 32($sp)
        move    $t3, $a0
        sw      $sp, 36($t3)
        .irp n, 16, 17, 18, 19, 20, 21, 22, 23, 30
        addiu   $\n, $t0, \n
        .endr
        lw      $t1, 20($t3)
        sw      $t1, 16($sp)
        lw      $t1, 24($t3)
        sw      $t1, 20($sp)
        lw      $t1, 28($t3)
        sw      $t1, 24($sp)
        lw      $a0, 4($t3)
        lw      $a1, 8($t3)
        lw      $a2, 12($t3)
        lw      $a3, 16($t3)
        lw      $t9, 0($t3)
        jalr    $t9
        lw      $t3, 32($sp)
        sw      $v0, 32($t3)
        li      $t0, PATTERN
        lw      $t1, 36($t3)
        xor     $t1, $t1, $sp
        .irp n, 16, 17, 18, 19, 20, 21, 22, 23, 30
        differs $\n, \n
        .endr
        sw      $t1, 40($t3)
        /* the words below the struct Call, its arguments among them */
        li      $t1, 0
        .irp at, 0, 4, 8, 12, 28
        lw      $v1, \at($sp)
        differs $v1, 0
        .endr
        .irp at, 16, 20, 24
        lw      $v1, \at($sp)
        lw      $t2, \at + 4($t3)
        xor     $t2, $t2, $v1
        or      $t1, $t1, $t2
        .endr
        addiu   $a0, $sp, 40
        addiu   $a1, $sp, SAVED
2:      lw      $v1, 0($a0)
        differs $v1, 0
        addiu   $a0, $a0, 4
        bne     $a0, $a1, 2b
        sw      $t1, 44($t3)
        lw      $t1, 40($t3)
        .irp n, 20, 22, 24, 26, 28, 30
        sdc1    $f\n, 40($sp)
        lw      $v1, 40($sp)
        differs $v1, 0
        lw      $v1, 44($sp)
        differs $v1, 0
        .endr
        sw      $t1, 40($t3)
        .irp n, 20, 22, 24, 26, 28, 30
        ldc1    $f\n, DOUBLE + 4 * (\n - 20)($sp)
        .endr
        lw      $fp, SAVED + 36($sp)
        .irp n, 16, 17, 18, 19, 20, 21, 22, 23
        lw      $\n, SAVED + 4 + 4 * (\n - 16)($sp)
        .endr
        lw      $ra, SAVED($sp)
        addiu   $sp, $sp, FRAME
        .cfi_def_cfa_offset 0
        jr      $ra
end_function probe_call

function probe_entry
        sw      $sp, 0($a0)
        sw      $fp, 4($a0)
        rdhwr   $v1, $29                /* the kernel emulates it in this register alone */
        sw      $v1, 8($a0)
        sdc1    $f0, -8($sp)
        .irp n, 4, 5, 6, 7
        sw      $\n, 4 * (\n - 4)($sp)  /* as any callee may: its caller's frame has room for them */
        .endr
        lw      $t9, 12($a0)
        jr      $t9
end_function probe_entry

function probe_tls_argument
        move    $v0, $a0
        jr      $ra
end_function probe_tls_argument

function probe_stack_alignment
        li      $v0, 8
        jr      $ra
end_function probe_stack_alignment

function probe_property
        li      $v0, 0
        li      $v1, 0
        jr      $ra
end_function probe_property

function probe_pattern
        li      $v0, 0
        li      $v1, 30                 /* fp */
        beq     $a0, $v1, 1f
        addiu   $v1, $a0, -16           /* s0 to s7 */
        sltiu   $v1, $v1, 8
        beqz    $v1, 2f
1:      li      $v0, PATTERN
        addu    $v0, $v0, $a0
2:      jr      $ra
end_function probe_pattern

function probe_landing_pad
        li      $v0, 0
        jr      $ra
end_function probe_landing_pad

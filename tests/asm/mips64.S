/* Offsets into struct Call and struct Entry of lib.rs are multiples of the word, 8 bytes. */
#if defined(__mips64) && _MIPS_SIM == _ABI64
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0
#define PORT_PROPERTY_BITS 0
#include "port.h"

#define PATTERN 0x5aa5c33c69960ff0
#define WORDS   64

/* t1 collects every bit that differs from the pattern in t0 plus n */
.macro differs register, n
        daddiu  $t2, \register, -\n
        xor     $t2, $t2, $t0
        or      $t1, $t1, $t2
.endm

/* The frame: 0 the struct Call, 16 the patterned words, then ra, gp, s0-s7, fp and f24-f31. */
#define SAVED (16 + 8 * WORDS)
#define FRAME (SAVED + 160)
function probe_call
        daddiu  $sp, $sp, -FRAME
        .cfi_def_cfa_offset FRAME
        sd      $ra, SAVED($sp)
        .cfi_offset 31, SAVED - FRAME
        sd      $gp, SAVED + 8($sp)
        .irp n, 16, 17, 18, 19, 20, 21, 22, 23
        sd      $\n, SAVED + 16 + 8 * (\n - 16)($sp)
        .endr
        sd      $fp, SAVED + 80($sp)
        .irp n, 24, 25, 26, 27, 28, 29, 30, 31
        sdc1    $f\n, SAVED + 88 + 8 * (\n - 24)($sp)
        .endr
        sd      $a0, 0($sp)
        dli     $t0, PATTERN
        daddiu  $t1, $sp, 16
        daddiu  $t2, $sp, SAVED
1:      sd      $t0, 0($t1)
        daddiu  $t1, $t1, 8
        bne     $t1, $t2, 1b
        move    $t3, $a0
        sd      $sp, 72($t3)
        /* gp too: in this ABI a call keeps it */
        .irp n, 16, 17, 18, 19, 20, 21, 22, 23, 28, 30
        daddiu  $\n, $t0, \n
        .endr
        .irp n, 24, 25, 26, 27, 28, 29, 30, 31
        daddiu  $t1, $t0, \n
        dmtc1   $t1, $f\n
        .endr
        ld      $a0, 8($t3)
        ld      $a1, 16($t3)
        ld      $a2, 24($t3)
        ld      $a3, 32($t3)
        ld      $a4, 40($t3)
        ld      $a5, 48($t3)
        ld      $a6, 56($t3)
        ld      $t9, 0($t3)
        jalr    $t9
        ld      $t3, 0($sp)
        sd      $v0, 64($t3)
        dli     $t0, PATTERN
        ld      $t1, 72($t3)
        xor     $t1, $t1, $sp
        .irp n, 16, 17, 18, 19, 20, 21, 22, 23, 28, 30
        differs $\n, \n
        .endr
        .irp n, 24, 25, 26, 27, 28, 29, 30, 31
        dmfc1   $v1, $f\n
        differs $v1, \n
        .endr
        sd      $t1, 80($t3)
        li      $t1, 0
        daddiu  $a0, $sp, 16
        daddiu  $a1, $sp, SAVED
2:      ld      $v1, 0($a0)
        differs $v1, 0
        daddiu  $a0, $a0, 8
        bne     $a0, $a1, 2b
        sd      $t1, 88($t3)
        .irp n, 24, 25, 26, 27, 28, 29, 30, 31
        ldc1    $f\n, SAVED + 88 + 8 * (\n - 24)($sp)
        .endr
        ld      $fp, SAVED + 80($sp)
        .irp n, 16, 17, 18, 19, 20, 21, 22, 23
        ld      $\n, SAVED + 16 + 8 * (\n - 16)($sp)
        .endr
        ld      $gp, SAVED + 8($sp)
        ld      $ra, SAVED($sp)
        daddiu  $sp, $sp, FRAME
        .cfi_def_cfa_offset 0
        jr      $ra
end_function probe_call

function probe_entry
        sd      $sp, 0($a0)
        sd      $fp, 8($a0)
        rdhwr   $v1, $29                /* the kernel emulates it in this register alone */
        sd      $v1, 16($a0)
        sdc1    $f0, -8($sp)
        ld      $t9, 24($a0)
        jr      $t9
end_function probe_entry

function probe_tls_argument
        move    $v0, $a0
        jr      $ra
end_function probe_tls_argument

function probe_stack_alignment
        li      $v0, 16
        jr      $ra
end_function probe_stack_alignment

function probe_property
        li      $v0, 0
        jr      $ra
end_function probe_property

function probe_pattern
        li      $v0, 0
        li      $v1, 28                 /* gp */
        beq     $a0, $v1, 1f
        li      $v1, 30                 /* fp */
        beq     $a0, $v1, 1f
        addiu   $v1, $a0, -16           /* s0 to s7 */
        sltiu   $v1, $v1, 8
        beqz    $v1, 2f
1:      dli     $v0, PATTERN
        daddu   $v0, $v0, $a0
2:      jr      $ra
end_function probe_pattern

function probe_landing_pad
        li      $v0, 0
        jr      $ra
end_function probe_landing_pad

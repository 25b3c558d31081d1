/* Offsets into struct Call and struct Entry of lib.rs are multiples of the word, 8 bytes. */
#if defined(__loongarch__) && __loongarch_grlen == 64
# define PORT_COMPILER_MATCHES
#endif
#define PORT_PROPERTY_TYPE 0
#define PORT_PROPERTY_BITS 0
#include "port.h"

#define PATTERN 0x5aa5c33c69960ff0
#define WORDS   64

/* t1 collects every bit that differs from the pattern in t0 plus n */
.macro differs register, n
        addi.d  $t2, \register, -(\n)
        xor     $t2, $t2, $t0
        or      $t1, $t1, $t2
.endm

/* The frame: 0 the struct Call, 16 the patterned words, then ra, fp, s0-s8 and fs0-fs7. */
#define SAVED (16 + 8 * WORDS)
#define FRAME (SAVED + 160)
function probe_call
        addi.d  $sp, $sp, -FRAME
        .cfi_def_cfa_offset FRAME
        st.d    $ra, $sp, SAVED
        .cfi_offset 1, SAVED - FRAME
        st.d    $fp, $sp, SAVED + 8
        .cfi_offset 22, SAVED + 8 - FRAME
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8
        st.d    $s\n, $sp, SAVED + 16 + 8 * \n
        .endr
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        fst.d   $fs\n, $sp, SAVED + 88 + 8 * \n
        .endr
        st.d    $a0, $sp, 0
        li.d    $t0, PATTERN
        addi.d  $t1, $sp, 16
        addi.d  $t2, $sp, SAVED
1:      st.d    $t0, $t1, 0
        addi.d  $t1, $t1, 8
        bne     $t1, $t2, 1b
        move    $t3, $a0
        st.d    $sp, $t3, 72
        addi.d  $fp, $t0, 10
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8
        addi.d  $s\n, $t0, 1 + \n
        .endr
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        movgr2fr.d $fs\n, $s\n
        .endr
        ld.d    $a0, $t3, 8
        ld.d    $a1, $t3, 16
        ld.d    $a2, $t3, 24
        ld.d    $a3, $t3, 32
        ld.d    $a4, $t3, 40
        ld.d    $a5, $t3, 48
        ld.d    $a6, $t3, 56
        ld.d    $t3, $t3, 0
        jirl    $ra, $t3, 0
        ld.d    $t3, $sp, 0
        st.d    $a0, $t3, 64
        li.d    $t0, PATTERN
        ld.d    $t1, $t3, 72
        xor     $t1, $t1, $sp
        differs $fp, 10
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8
        differs $s\n, 1 + \n
        .endr
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        movfr2gr.d $t4, $fs\n
        differs $t4, 1 + \n
        .endr
        st.d    $t1, $t3, 80
        move    $t1, $zero
        addi.d  $t5, $sp, 16
        addi.d  $t6, $sp, SAVED
2:      ld.d    $t4, $t5, 0
        differs $t4, 0
        addi.d  $t5, $t5, 8
        bne     $t5, $t6, 2b
        st.d    $t1, $t3, 88
        ld.d    $ra, $sp, SAVED
        ld.d    $fp, $sp, SAVED + 8
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8
        ld.d    $s\n, $sp, SAVED + 16 + 8 * \n
        .endr
        .irp n, 0, 1, 2, 3, 4, 5, 6, 7
        fld.d   $fs\n, $sp, SAVED + 88 + 8 * \n
        .endr
        addi.d  $sp, $sp, FRAME
        .cfi_def_cfa_offset 0
        ret
end_function probe_call

function probe_entry
        st.d    $sp, $a0, 0
        st.d    $fp, $a0, 8
        st.d    $tp, $a0, 16
        ld.d    $t3, $a0, 24
        jr      $t3
end_function probe_entry

function probe_tls_argument
        ret
end_function probe_tls_argument

function probe_stack_alignment
        li.w    $a0, 16
        ret
end_function probe_stack_alignment

function probe_property
        move    $a0, $zero
        ret
end_function probe_property

/* fp is register 22, s0 to s8 are 23 to 31 */
function probe_pattern
        addi.d  $t1, $a0, -22           /* the n of s0 to s8 */
        move    $a0, $zero
        li.w    $t2, 10
        bgeu    $t1, $t2, 2f
        bnez    $t1, 1f
        move    $t1, $t2                /* fp's */
1:      li.d    $t0, PATTERN
        add.d   $a0, $t0, $t1
2:      ret
end_function probe_pattern

function probe_landing_pad
        move    $a0, $zero
        ret
end_function probe_landing_pad

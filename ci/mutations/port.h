# Wrong edits of asm/port.h, tried with every port: a name, then a sed -E script.
# No unwinder of arm's reads the parent's rules.
the-child-has-a-caller          /\.cfi_undefined/d
executable-stack                /note\.GNU-stack/d
parents-cfa-is-wrong@!(arm*)    /^\.macro function/,/^\.endm/s/\.cfi_startproc/&\n        .cfi_adjust_cfa_offset 16/
no-size                         /\.size/d
hidden                          s/\.globl  \\name/&\n        .hidden \\name/

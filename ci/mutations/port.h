# Wrong edits of asm/port.h, tried with every port: a name, then a sed -E script.
the-child-has-a-caller          /\.cfi_undefined/d
executable-stack                /note\.GNU-stack/d
parents-cfa-is-wrong            /^\\name:/{n;s/$/\n        .cfi_adjust_cfa_offset 16/}
no-size                         /\.size/d
hidden                          s/\.globl  \\name/&\n        .hidden \\name/

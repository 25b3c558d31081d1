/* riscv32: riscv64.S, in which no instruction depends on the width of a register. The kernel has the same
 * numbers and order here, and clone3 the same struct. */
#define PORT_XLEN 32
#include "riscv64.S"

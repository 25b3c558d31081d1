#include "mips.S"

#include "mips64.S"

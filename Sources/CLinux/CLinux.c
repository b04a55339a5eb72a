// The module is its header; a target needs one translation unit, and compiling it here checks the header alone.

#include "CLinux.h"

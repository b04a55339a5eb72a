// Every operation with NEON.
#if defined(__aarch64__)
#include <arm_neon.h>

#include "inline.h"

#define TABLE caked_neon
#define TABLE_NAME "neon"

#include "lanes/neon.h"
#include "table_of.h"
#endif

// Every operation for any CPU; on aarch64 and x86-64 the compiler turns the lanes into the baseline's vectors.
#include "inline.h"

#define TABLE caked_portable
#define TABLE_NAME "portable"

#include "lanes/portable.h"
#include "table_of.h"

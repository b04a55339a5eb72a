// What the operations are written in: helpers that must melt into their caller, and loops that must unroll.
#ifndef CAKED_INLINE_H
#define CAKED_INLINE_H

#include <math.h>
#include <string.h>

#include "half.h"
#include "table.h"

#define INLINE static inline __attribute__((always_inline, unused))
#define UNROLL _Pragma("clang loop unroll(full)")
// What must stay a loop: its body is long.
#define LOOP _Pragma("clang loop unroll(disable)")

#endif

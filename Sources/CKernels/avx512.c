// Every operation with AVX-512 F, BW, DQ and VL; nothing of it runs before caked_kernels_best() has seen them.
#if defined(__x86_64__)
#include <immintrin.h>

#include "inline.h"

#define TABLE caked_avx512
#define TABLE_NAME "avx512"

#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c"))), apply_to = function)
#include "lanes/avx512.h"
#define CAKED_INT8_IS_FAST
#define CAKED_DOT_LANES "../lanes/dot_avx512.h"
#include "table_of.h"
#pragma clang attribute pop
#endif

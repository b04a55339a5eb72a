// Every operation with AVX2 as in avx2.c and AVX-VNNI; nothing of it runs before caked_kernels_best() has seen them.
#if defined(__x86_64__)
#include <immintrin.h>

#include "inline.h"

#define TABLE caked_avx_vnni
#define TABLE_NAME "avx-vnni"

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,avxvnni"))), apply_to = function)
#include "lanes/avx2.h"
#define CAKED_INT8_IS_FAST
#define CAKED_DOT_LANES "../lanes/dot_avx_vnni.h"
#include "table_of.h"
#pragma clang attribute pop
#endif

// Sums of four products of bytes in one instruction of AVX-512 VNNI.

#include "pairs_avx512.h"
#include "transpose_avx512.h"

// sum[i] + w[4 * i] * x[0] + ... + w[4 * i + 3] * x[3], with w unsigned, x signed.
INLINE integers v_dot4(integers sum, quads w, uint32_t x) {
    return (integers)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)w, _mm512_set1_epi32((int32_t)x));
}

// The same with w - 128 for w over all products between a start and the end; `zero` is their sum of x, times -128.
INLINE integers v_dot8_start(const uint8_t *zero) { return (integers){0} + (int32_t)load32(zero); }
INLINE integers v_dot8(integers sum, quads w, uint32_t x) { return v_dot4(sum, w, x); }

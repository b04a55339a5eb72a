// Sums of four products of bytes, and of two of 16-bit integers, in one instruction of AVX-512 VNNI.

// Quads may be any unsigned bytes, and a row of 16 bits is worth splitting into bytes.
#define CAKED_DOTS_ANY_BYTES
// sum[i] + w[4 * i] * x[0] + ... + w[4 * i + 3] * x[3], with w unsigned, x signed.
INLINE integers v_dot4(integers sum, quads w, uint32_t x) {
    return (integers)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)w, _mm512_set1_epi32((int32_t)x));
}

// sum[i] + w[2 * i] * x[0] + w[2 * i + 1] * x[1].
INLINE integers v_dot2(integers sum, int16_pairs w, uint32_t x) {
    return (integers)_mm512_dpwssd_epi32((__m512i)sum, (__m512i)w, _mm512_set1_epi32((int32_t)x));
}

#include "dot_fours.h"
#include "pairs_avx512.h"
#include "transpose_avx512.h"

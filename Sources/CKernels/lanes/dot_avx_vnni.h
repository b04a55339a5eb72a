// Sums of four products of bytes, and of two of 16-bit integers, in one instruction of AVX-VNNI.

// sum[i] + w[4 * i] * x[0] + ... + w[4 * i + 3] * x[3], with w unsigned, x signed.
INLINE integers v_dot4(integers sum, quads w, uint32_t x) {
    return (integers)_mm256_dpbusd_avx_epi32((__m256i)sum, (__m256i)w, _mm256_set1_epi32((int32_t)x));
}

// sum[i] + w[2 * i] * x[0] + w[2 * i + 1] * x[1].
INLINE integers v_dot2(integers sum, int16_pairs w, uint32_t x) {
    return (integers)_mm256_dpwssd_avx_epi32((__m256i)sum, (__m256i)w, _mm256_set1_epi32((int32_t)x));
}

#include "dot_fours.h"
#include "pairs_avx2.h"
#include "transpose_avx2.h"

// Sums of four products of bytes on AVX-512 without VNNI: added in pairs, and pairs in fours.

#include "transpose_avx512.h"

// sum[i] + w[4 * i] * x[0] + ... + w[4 * i + 3] * x[3], with w unsigned and below 64, x signed: pairs fit 16 bits.
INLINE integers v_dot4(integers sum, quads w, uint32_t x) {
    __m512i two = _mm512_maddubs_epi16((__m512i)w, _mm512_set1_epi32((int32_t)x));
    return sum + (integers)_mm512_madd_epi16(two, _mm512_set1_epi16(1));
}

// The same with w - 128 for w, of any byte. Its sign goes over to x, since pairs of larger products would not fit.
INLINE integers v_dot8_start(const uint8_t *zero) {
    (void)zero;
    return (integers){0};
}

INLINE integers v_dot8(integers sum, quads w, uint32_t x) {
    __m512i quants = (__m512i)(w ^ 128), four = _mm512_set1_epi32((int32_t)x);
    four = _mm512_mask_sub_epi8(four, _mm512_movepi8_mask(quants), _mm512_setzero_si512(), four);
    __m512i two = _mm512_maddubs_epi16(_mm512_abs_epi8(quants), four);
    return sum + (integers)_mm512_madd_epi16(two, _mm512_set1_epi16(1));
}

// Sums of four products of bytes on AVX2: products of unsigned and signed bytes are added in pairs, and pairs in fours.

// sum[i] + w[4 * i] * x[0] + ... + w[4 * i + 3] * x[3], with w unsigned and below 64, x signed: pairs fit 16 bits.
INLINE integers v_dot4(integers sum, quads w, uint32_t x) {
    __m256i two = _mm256_maddubs_epi16((__m256i)w, _mm256_set1_epi32((int32_t)x));
    return sum + (integers)_mm256_madd_epi16(two, _mm256_set1_epi16(1));
}

// The same with w - 128 for w, of any byte. Its sign goes over to x, since pairs of larger products would not fit.
INLINE integers v_dot8_start(const uint8_t *zero) {
    (void)zero;
    return (integers){0};
}

INLINE integers v_dot8(integers sum, quads w, uint32_t x) {
    __m256i quants = (__m256i)(w ^ 128);
    __m256i two = _mm256_maddubs_epi16(_mm256_abs_epi8(quants), _mm256_sign_epi8(_mm256_set1_epi32((int32_t)x), quants));
    return sum + (integers)_mm256_madd_epi16(two, _mm256_set1_epi16(1));
}

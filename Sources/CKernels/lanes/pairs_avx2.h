// The bytes of two entries side by side, as the 16-bit integers of v_dot2.

#define CAKED_PAIRS

// Pairs of a[i], b[i] for 2 * LANES bytes of both, in the order in which unpacking leaves them.
INLINE void v_pair_bytes(const uint8_t *a, const uint8_t *b, int16_pairs pairs[2]) {
    __m256i x = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)a));
    __m256i y = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)b));
    pairs[0] = (int16_pairs)_mm256_unpacklo_epi16(x, y);
    pairs[1] = (int16_pairs)_mm256_unpackhi_epi16(x, y);
}

// Sums over pairs of v_pair_bytes, in the order of the bytes.
INLINE void v_order_pairs(integers sums[2]) {
    __m256i a = (__m256i)sums[0], b = (__m256i)sums[1];
    sums[0] = (integers)_mm256_permute2x128_si256(a, b, 0x20);
    sums[1] = (integers)_mm256_permute2x128_si256(a, b, 0x31);
}

// x as 16-bit integers, to the nearest; they fit, and NaN, which becomes the lowest integer of 32 bits, is 0: the lower
// halves, not what saturates.
INLINE void v_store_int16(int16_t *p, lanes x) {
    const __m256i halves = _mm256_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, -1, -1, -1, -1, -1, -1, -1, -1, 0, 1, 4, 5, 8, 9, 12,
                                            13, -1, -1, -1, -1, -1, -1, -1, -1);
    __m256i v = _mm256_shuffle_epi8(_mm256_cvtps_epi32(x), halves);
    _mm_storeu_si128((__m128i *)p, _mm256_castsi256_si128(_mm256_permute4x64_epi64(v, 0x08)));
}

// Pairs of the 32 nibbles of a and b, in the order of their channels.
INLINE void v_pair_nibbles(const uint8_t *a, const uint8_t *b, int16_pairs pairs[CAKED_BLOCK / LANES]) {
    __m128i x = _mm_loadu_si128((const __m128i *)a), y = _mm_loadu_si128((const __m128i *)b);
    int16_pairs first = (int16_pairs)_mm256_cvtepu8_epi16(_mm_unpacklo_epi8(x, y));
    int16_pairs second = (int16_pairs)_mm256_cvtepu8_epi16(_mm_unpackhi_epi8(x, y));
    pairs[0] = first & 15, pairs[1] = second & 15;
    pairs[2] = first >> 4, pairs[3] = second >> 4;
}

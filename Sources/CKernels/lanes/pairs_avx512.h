// The bytes of two entries side by side, as the 16-bit integers of v_dot2.

#define CAKED_PAIRS

// Pairs of a[i], b[i] for 2 * LANES bytes of both, in the order in which unpacking leaves them.
INLINE void v_pair_bytes(const uint8_t *a, const uint8_t *b, int16_pairs pairs[2]) {
    __m512i x = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)a));
    __m512i y = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)b));
    pairs[0] = (int16_pairs)_mm512_unpacklo_epi16(x, y);
    pairs[1] = (int16_pairs)_mm512_unpackhi_epi16(x, y);
}

// Sums over pairs of v_pair_bytes, in the order of the bytes.
INLINE void v_order_pairs(integers sums[2]) {
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    __m512i a = (__m512i)sums[0], b = (__m512i)sums[1];
    sums[0] = (integers)_mm512_permutex2var_epi64(a, first, b);
    sums[1] = (integers)_mm512_permutex2var_epi64(a, second, b);
}

// x as 16-bit integers, to the nearest; they fit.
INLINE void v_store_int16(int16_t *p, lanes x) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(x)));
}

// Pairs of the 32 nibbles of a and b: those of the channels 0 ..< 16, then the others.
INLINE void v_pair_nibbles(const uint8_t *a, const uint8_t *b, int16_pairs pairs[CAKED_BLOCK / LANES]) {
    __m128i x = _mm_loadu_si128((const __m128i *)a), y = _mm_loadu_si128((const __m128i *)b);
    __m256i bytes = _mm256_set_m128i(_mm_unpackhi_epi8(x, y), _mm_unpacklo_epi8(x, y));
    int16_pairs both = (int16_pairs)_mm512_cvtepu8_epi16(bytes);
    pairs[0] = both & 15;
    pairs[1] = both >> 4;
}

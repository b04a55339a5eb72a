// The bytes of a group of 16 outputs transposed in registers: a block is a matrix of 32-bit elements.

INLINE __m512i load_halves(const uint8_t *a, const uint8_t *b) {
    __m512i v = _mm512_castsi256_si512(_mm256_loadu_si256((const __m256i *)a));
    return _mm512_inserti64x4(v, _mm256_loadu_si256((const __m256i *)b), 1);
}

// Transposes the four 4 x 4 matrices of 32-bit elements that lie in the quarters of four registers.
INLINE void transpose_quarters(const __m512i *v, __m512i *to) {
    __m512i a = _mm512_unpacklo_epi32(v[0], v[1]), b = _mm512_unpackhi_epi32(v[0], v[1]);
    __m512i c = _mm512_unpacklo_epi32(v[2], v[3]), d = _mm512_unpackhi_epi32(v[2], v[3]);
    to[0] = _mm512_unpacklo_epi64(a, c), to[1] = _mm512_unpackhi_epi64(a, c);
    to[2] = _mm512_unpacklo_epi64(b, d), to[3] = _mm512_unpackhi_epi64(b, d);
}

// to[k][o] = four bytes from 4 * k on of output o, whose bytes start `stride` behind those of the one before.
#define CAKED_TRANSPOSES
INLINE void transpose_group(const uint8_t *p, size_t stride, quad_bytes *to) {
    __m512i rows[8], quarters[8];
    UNROLL for (size_t i = 0; i < 4; i++) {
        rows[i] = load_halves(p + i * stride, p + (4 + i) * stride);
        rows[4 + i] = load_halves(p + (8 + i) * stride, p + (12 + i) * stride);
    }
    transpose_quarters(rows, quarters);
    transpose_quarters(rows + 4, quarters + 4);
    UNROLL for (int k = 0; k < 4; k++) {
        to[k] = (quad_bytes)_mm512_shuffle_i64x2(quarters[k], quarters[4 + k], 0x88);
        to[4 + k] = (quad_bytes)_mm512_shuffle_i64x2(quarters[k], quarters[4 + k], 0xdd);
    }
}

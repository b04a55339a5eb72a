// Sums of four products of bytes in one instruction of AVX-512 VNNI.

// sum[i] + x[0] * w[4 * i] + ... + x[3] * w[4 * i + 3], with x unsigned and w signed.
INLINE integers v_dot4(integers sum, uint32_t x, const uint8_t *w) {
    __m512i quants = _mm512_loadu_si512(w);
    return (integers)_mm512_dpbusd_epi32((__m512i)sum, _mm512_set1_epi32((int32_t)x), quants);
}

// A whole group of 16 outputs is re-tiled in registers: its blocks' bytes are a matrix of 32-bit elements to transpose.
enum { GROUP_IN_REGISTERS = 1 };

INLINE __m128i load_quarter(const uint8_t *p) { return _mm_loadu_si128((const __m128i *)p); }

INLINE __m512i load_quarters(const uint8_t *a, const uint8_t *b, const uint8_t *c, const uint8_t *d) {
    __m512i v = _mm512_castsi128_si512(load_quarter(a));
    v = _mm512_inserti32x4(v, load_quarter(b), 1);
    v = _mm512_inserti32x4(v, load_quarter(c), 2);
    return _mm512_inserti32x4(v, load_quarter(d), 3);
}

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

// Writes a record: the transposed quants, and the offset that is their sum times -128.
INLINE void put_group(const __m512i *quants, uint8_t *to) {
    __m512i sum = _mm512_setzero_si512();
    UNROLL for (int k = 0; k < CAKED_BLOCK / 4; k++) {
        sum = _mm512_dpbusd_epi32(sum, _mm512_set1_epi8((char)128), quants[k]);
        _mm512_storeu_si512(to + 64 * k, quants[k]);
    }
    _mm512_storeu_si512(to + PANEL_OFFSETS, _mm512_sub_epi32(_mm512_setzero_si512(), sum));
}

// The blocks' scales, collected ahead: a vector load right behind the small stores it reads would wait for them.
INLINE void put_scales(const uint8_t *w, size_t row_bytes, size_t blocks, size_t block_bytes, uint8_t *to) {
    for (size_t o = 0; o < PANEL_GROUP; o++) {
        for (size_t b = 0; b < blocks; b++) {
            memcpy(to + PANEL_BYTES * b + PANEL_SCALES + 2 * o, w + o * row_bytes + b * block_bytes, 2);
        }
    }
}

INLINE void widen_scales(uint8_t *record) {
    _mm512_storeu_ps((float *)(void *)(record + PANEL_SCALES), v_load_half(record + PANEL_SCALES));
}

// A group's rows are too short, and too many, for the hardware's prefetcher; but the next group lies right behind this one,
// so while a block is re-tiled its share of the next group's bytes is fetched, in the order in which they lie.
INLINE void prefetch_share(uintptr_t next, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const void *)(next + i), 0, 2);
}

// Re-tiles one block of 32 bytes of each output, `stride` bytes apart.
INLINE void group_bytes(const uint8_t *p, size_t stride, uint8_t *to) {
    __m512i rows[8], quarters[8], quants[8];
    UNROLL for (size_t i = 0; i < 4; i++) {
        rows[i] = load_halves(p + i * stride, p + (4 + i) * stride);
        rows[4 + i] = load_halves(p + (8 + i) * stride, p + (12 + i) * stride);
    }
    transpose_quarters(rows, quarters);
    transpose_quarters(rows + 4, quarters + 4);
    UNROLL for (int k = 0; k < 4; k++) {
        quants[k] = _mm512_shuffle_i64x2(quarters[k], quarters[4 + k], 0x88);
        quants[4 + k] = _mm512_shuffle_i64x2(quarters[k], quarters[4 + k], 0xdd);
    }
    put_group(quants, to);
}

INLINE void group_q8_0(const uint8_t *w, size_t row_bytes, size_t first, size_t blocks, uint8_t *to) {
    enum { SHARE = PANEL_GROUP * CAKED_Q8_0_BYTES };
    uintptr_t next = (uintptr_t)w - first * CAKED_Q8_0_BYTES + PANEL_GROUP * row_bytes + first * SHARE;
    put_scales(w, row_bytes, blocks, CAKED_Q8_0_BYTES, to);
    for (size_t b = 0; b < blocks; b++, w += CAKED_Q8_0_BYTES, to += PANEL_BYTES) {
        prefetch_share(next + b * SHARE, SHARE);
        group_bytes(w + 2, row_bytes, to);
        widen_scales(to);
    }
}

INLINE void group_q4_0(const uint8_t *w, size_t row_bytes, size_t first, size_t blocks, uint8_t *to) {
    enum { SHARE = PANEL_GROUP * CAKED_Q4_0_BYTES };
    uintptr_t next = (uintptr_t)w - first * CAKED_Q4_0_BYTES + PANEL_GROUP * row_bytes + first * SHARE;
    put_scales(w, row_bytes, blocks, CAKED_Q4_0_BYTES, to);
    const __m512i nibble = _mm512_set1_epi8(15), middle = _mm512_set1_epi8(8);
    for (size_t b = 0; b < blocks; b++, w += CAKED_Q4_0_BYTES, to += PANEL_BYTES) {
        prefetch_share(next + b * SHARE, SHARE);
        const uint8_t *p = w + 2;
        __m512i rows[4], pairs[4], quants[8];
        UNROLL for (size_t i = 0; i < 4; i++) {
            rows[i] = load_quarters(
                p + i * row_bytes, p + (4 + i) * row_bytes, p + (8 + i) * row_bytes, p + (12 + i) * row_bytes);
        }
        transpose_quarters(rows, pairs);
        UNROLL for (int k = 0; k < 4; k++) {
            quants[k] = _mm512_sub_epi8(_mm512_and_si512(pairs[k], nibble), middle);
            quants[4 + k] = _mm512_sub_epi8(_mm512_and_si512(_mm512_srli_epi16(pairs[k], 4), nibble), middle);
        }
        put_group(quants, to);
        widen_scales(to);
    }
}

// Sixteen lanes of AVX-512 (F, BW, DQ, VL).
#define LANES 16
// table[index] for 16 bytes of each.
#define CAKED_CHOOSE(table, index) _mm_shuffle_epi8((__m128i)(table), (__m128i)(index))
// Rows of a product that are held in registers beside three vectors.
#define SIDE 8

typedef __m512 lanes;
typedef uint32_t bits __attribute__((vector_size(4 * LANES)));

INLINE lanes v_set(float x) { return _mm512_set1_ps(x); }
INLINE lanes v_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE void v_store(float *p, lanes v) { _mm512_storeu_ps(p, v); }
INLINE __mmask16 v_first(size_t n) { return (__mmask16)((1u << n) - 1); }

INLINE lanes v_load_first(const float *p, size_t n, float fill) {
    return _mm512_mask_loadu_ps(v_set(fill), v_first(n), p);
}

INLINE void v_store_first(float *p, lanes v, size_t n) { _mm512_mask_storeu_ps(p, v_first(n), v); }
INLINE lanes v_fma(lanes a, lanes b, lanes c) { return _mm512_fmadd_ps(a, b, c); }
INLINE lanes v_max(lanes a, lanes b) { return _mm512_max_ps(a, b); }
// x * 2^n for whole n.
#define CAKED_SCALES
INLINE lanes v_scale(lanes x, lanes n) { return _mm512_scalef_ps(x, n); }
INLINE bool v_exceeds(lanes a, lanes b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ) != 0; }
INLINE __m256 v_low(lanes v) { return _mm512_castps512_ps256(v); }
INLINE __m256 v_high(lanes v) { return _mm512_extractf32x8_ps(v, 1); }

INLINE float v_sum(lanes v) {
    __m256 eight = _mm256_add_ps(v_low(v), v_high(v));
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

INLINE void v_sum4(float *p, lanes a, lanes b, lanes c, lanes d) {
    __m256 ab = _mm256_hadd_ps(_mm256_add_ps(v_low(a), v_high(a)), _mm256_add_ps(v_low(b), v_high(b)));
    __m256 cd = _mm256_hadd_ps(_mm256_add_ps(v_low(c), v_high(c)), _mm256_add_ps(v_low(d), v_high(d)));
    __m256 pairs = _mm256_hadd_ps(ab, cd);
    _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps(pairs, 1)));
}

INLINE float v_max_of(lanes v) {
    __m256 eight = _mm256_max_ps(v_low(v), v_high(v));
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

// Transposes a square of LANES vectors in place: pairs of rows, then of pairs, then the quarters of the registers.
INLINE void v_transpose(lanes *square) {
    __m512i v[LANES], w[LANES];
    UNROLL for (int i = 0; i < LANES; i++) v[i] = (__m512i)square[i];
    UNROLL for (int i = 0; i < LANES; i += 2) {
        w[i] = _mm512_unpacklo_epi32(v[i], v[i + 1]), w[i + 1] = _mm512_unpackhi_epi32(v[i], v[i + 1]);
    }
    UNROLL for (int i = 0; i < LANES; i += 4) {
        v[i] = _mm512_unpacklo_epi64(w[i], w[i + 2]), v[i + 1] = _mm512_unpackhi_epi64(w[i], w[i + 2]);
        v[i + 2] = _mm512_unpacklo_epi64(w[i + 1], w[i + 3]), v[i + 3] = _mm512_unpackhi_epi64(w[i + 1], w[i + 3]);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        w[i] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0x88), w[i + 4] = _mm512_shuffle_i32x4(v[i], v[i + 4], 0xdd);
        w[i + 8] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0x88);
        w[i + 12] = _mm512_shuffle_i32x4(v[i + 8], v[i + 12], 0xdd);
    }
    UNROLL for (int i = 0; i < 4; i++) {
        square[i] = (lanes)_mm512_shuffle_i32x4(w[i], w[i + 8], 0x88);
        square[i + 8] = (lanes)_mm512_shuffle_i32x4(w[i], w[i + 8], 0xdd);
        square[i + 4] = (lanes)_mm512_shuffle_i32x4(w[i + 4], w[i + 12], 0x88);
        square[i + 12] = (lanes)_mm512_shuffle_i32x4(w[i + 4], w[i + 12], 0xdd);
    }
}

INLINE lanes v_load_half(const uint8_t *p) { return _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p)); }

INLINE void v_store_half(uint8_t *p, lanes v) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

INLINE lanes v_set_half(const uint8_t *p) { return _mm512_cvtph_ps(_mm256_set1_epi16((short)caked_load16(p))); }

INLINE lanes v_load_bfloat(const uint8_t *p) {
    __m512i wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256((const __m256i *)p));
    return _mm512_castsi512_ps(_mm512_slli_epi32(wide, 16));
}

INLINE lanes v_load_int8(const uint8_t *p) {
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

// The values quants stand for, scale * quant + shift: a table of 32 in two registers, so that unpacking is looking up.
typedef struct {
    lanes low, high;
} levels;

INLINE levels v_levels(float scale, float shift) {
    const lanes quants = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return (levels){v_fma(v_set(scale), quants, v_set(shift)), v_fma(v_set(scale), quants + 16, v_set(shift))};
}

// What the low four, or five, bits of each quant stand for.
INLINE lanes v_level4(levels table, bits quants) { return _mm512_permutexvar_ps((__m512i)quants, table.low); }

INLINE lanes v_level5(levels table, bits quants) {
    return _mm512_permutex2var_ps(table.low, (__m512i)quants, table.high);
}

// A nibble picks its value from a register of all sixteen; the permutation looks at the low four bits only.
INLINE lanes v_nibble(__m512i index) {
    return _mm512_permutexvar_ps(index, _mm512_setr_ps(-8, -7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE lanes v_load_low(const uint8_t *p) {
    return v_nibble(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}

INLINE lanes v_load_high(const uint8_t *p) {
    return v_nibble(_mm512_srli_epi32(_mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)), 4));
}

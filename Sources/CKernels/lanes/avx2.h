// Eight lanes of AVX2 with FMA and F16C.
#define LANES 8
// table[index] for 16 bytes of each.
#define CAKED_CHOOSE(table, index) _mm_shuffle_epi8((__m128i)(table), (__m128i)(index))
// Rows of a product that are held in registers beside three vectors.
#define SIDE 4
// What is loaded behind this is not moved before it: with 16 registers the compiler would run out of them.
#define CAKED_IN_ORDER(v) __asm__ volatile("" : "+x"(v))

typedef __m256 lanes;
typedef uint32_t bits __attribute__((vector_size(4 * LANES)));

INLINE lanes v_set(float x) { return _mm256_set1_ps(x); }
INLINE lanes v_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE void v_store(float *p, lanes v) { _mm256_storeu_ps(p, v); }

// All ones in the first n < LANES lanes.
INLINE __m256i v_first(size_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

INLINE lanes v_load_first(const float *p, size_t n, float fill) {
    __m256i first = v_first(n);
    return _mm256_blendv_ps(v_set(fill), _mm256_maskload_ps(p, first), _mm256_castsi256_ps(first));
}

INLINE void v_store_first(float *p, lanes v, size_t n) { _mm256_maskstore_ps(p, v_first(n), v); }
INLINE lanes v_fma(lanes a, lanes b, lanes c) { return _mm256_fmadd_ps(a, b, c); }
INLINE lanes v_max(lanes a, lanes b) { return _mm256_max_ps(a, b); }

INLINE bool v_exceeds(lanes a, lanes b) { return _mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_GT_OQ)) != 0; }

INLINE float v_sum(lanes v) {
    __m128 four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
}

INLINE void v_sum4(float *p, lanes a, lanes b, lanes c, lanes d) {
    lanes pairs = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(pairs), _mm256_extractf128_ps(pairs, 1)));
}

INLINE float v_max_of(lanes v) {
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

INLINE lanes v_load_half(const uint8_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }

INLINE void v_store_half(uint8_t *p, lanes v) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
}

INLINE lanes v_set_half(const uint8_t *p) { return _mm256_cvtph_ps(_mm_set1_epi16((short)caked_load16(p))); }

INLINE lanes v_load_bfloat(const uint8_t *p) {
    __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
    return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

INLINE lanes v_load_int8(const uint8_t *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
}

INLINE lanes v_load_low(const uint8_t *p) {
    __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p));
    wide = _mm256_sub_epi32(_mm256_and_si256(wide, _mm256_set1_epi32(15)), _mm256_set1_epi32(8));
    return _mm256_cvtepi32_ps(wide);
}

INLINE lanes v_load_high(const uint8_t *p) {
    __m256i wide = _mm256_srli_epi32(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)), 4);
    return _mm256_cvtepi32_ps(_mm256_sub_epi32(wide, _mm256_set1_epi32(8)));
}

#include "levels.h"
#include "transpose.h"

// Sums of products of bytes on AVX2: vpmaddubsw and vpmaddwd.

INLINE int16_pairs v_pairs(quads unsigned_bytes, quads signed_bytes) {
    return (int16_pairs)_mm256_maddubs_epi16((__m256i)unsigned_bytes, (__m256i)signed_bytes);
}

INLINE integers v_fours(int16_pairs a, int16_pairs b) { return (integers)_mm256_madd_epi16((__m256i)a, (__m256i)b); }
INLINE quads v_magnitudes(quads v) { return (quads)_mm256_abs_epi8((__m256i)v); }
// x where `sign` is positive, -x where it is negative, 0 where it is 0.
INLINE quads v_move_sign(quads x, quads sign) { return (quads)_mm256_sign_epi8((__m256i)x, (__m256i)sign); }

#include "dot_pairs.h"
#include "pairs_avx2.h"
#include "transpose_avx2.h"

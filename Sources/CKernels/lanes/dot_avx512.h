// Sums of products of bytes on AVX-512 without VNNI: vpmaddubsw and vpmaddwd.

INLINE int16_pairs v_pairs(quads unsigned_bytes, quads signed_bytes) {
    return (int16_pairs)_mm512_maddubs_epi16((__m512i)unsigned_bytes, (__m512i)signed_bytes);
}

INLINE integers v_fours(int16_pairs a, int16_pairs b) { return (integers)_mm512_madd_epi16((__m512i)a, (__m512i)b); }
INLINE quads v_magnitudes(quads v) { return (quads)_mm512_abs_epi8((__m512i)v); }
// x where `sign` is not negative, -x where it is.
INLINE quads v_move_sign(quads x, quads sign) {
    __mmask64 negative = _mm512_movepi8_mask((__m512i)sign);
    return (quads)_mm512_mask_sub_epi8((__m512i)x, negative, _mm512_setzero_si512(), (__m512i)x);
}

#include "dot_pairs.h"
#include "pairs_avx512.h"
#include "transpose_avx512.h"

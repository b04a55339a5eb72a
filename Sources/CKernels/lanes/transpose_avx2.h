// The bytes of a group of 16 outputs transposed in registers: a block is two squares of eight 32-bit elements.

// to[k][o] = four bytes from 4 * k on of output o, whose bytes start `stride` behind those of the one before.
#define CAKED_TRANSPOSES
INLINE void transpose_group(const uint8_t *p, size_t stride, quad_bytes *to) {
    UNROLL for (size_t half = 0; half < 2; half++, p += 8 * stride) {
        __m256i rows[8], pairs[8], fours[8];
        UNROLL for (size_t i = 0; i < 8; i++) rows[i] = _mm256_loadu_si256((const __m256i *)(p + i * stride));
        UNROLL for (int i = 0; i < 8; i += 2) {
            pairs[i] = _mm256_unpacklo_epi32(rows[i], rows[i + 1]);
            pairs[i + 1] = _mm256_unpackhi_epi32(rows[i], rows[i + 1]);
        }
        UNROLL for (int i = 0; i < 8; i += 4) {
            fours[i] = _mm256_unpacklo_epi64(pairs[i], pairs[i + 2]);
            fours[i + 1] = _mm256_unpackhi_epi64(pairs[i], pairs[i + 2]);
            fours[i + 2] = _mm256_unpacklo_epi64(pairs[i + 1], pairs[i + 3]);
            fours[i + 3] = _mm256_unpackhi_epi64(pairs[i + 1], pairs[i + 3]);
        }
        UNROLL for (int k = 0; k < 4; k++) {
            __m256i *low = (__m256i *)(to + k) + half, *high = (__m256i *)(to + 4 + k) + half;
            _mm256_storeu_si256(low, _mm256_permute2x128_si256(fours[k], fours[4 + k], 0x20));
            _mm256_storeu_si256(high, _mm256_permute2x128_si256(fours[k], fours[4 + k], 0x31));
        }
    }
}

// Sums of four products of bytes, computed with shifts: where the CPU has no instruction for them.

// sum[i] + w[4 * i] * x[0] + ... + w[4 * i + 3] * x[3], with w unsigned, x signed.
INLINE integers v_dot4(integers sum, quads w, uint32_t x) {
    integers quants = (integers)w;
    sum += (quants & 255) * (int8_t)x;
    sum += (quants >> 8 & 255) * (int8_t)(x >> 8);
    sum += (quants >> 16 & 255) * (int8_t)(x >> 16);
    return sum + (quants >> 24 & 255) * (int8_t)(x >> 24);
}

// sum[i] + w[2 * i] * x[0] + w[2 * i + 1] * x[1].
INLINE integers v_dot2(integers sum, int16_pairs w, uint32_t x) {
    integers both = (integers)w;
    return sum + (both << 16 >> 16) * (int16_t)x + (both >> 16) * (int16_t)(x >> 16);
}

#include "dot_fours.h"

// Half precision by bit tricks, exact and without hardware: what every variant falls back on.
#ifndef CAKED_HALF_H
#define CAKED_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t caked_bits(float x) {
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float caked_float(uint32_t bits) {
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline uint16_t caked_load16(const void *p) {
    uint16_t bits;
    memcpy(&bits, p, sizeof bits);
    return bits;
}

// Moves exponent and mantissa into place and lets a multiplication by 2^112 mend the bias: exact, subnormals included.
static inline float caked_from_half(uint16_t half) {
    uint32_t magnitude = (uint32_t)(half & 0x7fff) << 13;
    uint32_t bits = caked_bits(caked_float(magnitude) * 0x1p112f);
    bits |= magnitude >= 0x0f800000 ? 0x7f800000 : 0;  // infinities and NaN keep the top exponent
    return caked_float(bits | (uint32_t)(half & 0x8000) << 16);
}

// Rounds to nearest even; overflow becomes infinity, NaN stays NaN.
static inline uint16_t caked_to_half(float x) {
    uint32_t bits = caked_bits(x);
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    bits &= 0x7fffffff;
    if (bits >= 0x47800000) return sign | (bits > 0x7f800000 ? 0x7e00 : 0x7c00);
    // Below 2^-14 adding 0.5 aligns the bits that stay with the bottom of the mantissa, rounded by the addition.
    if (bits < 0x38800000) return sign | (uint16_t)(caked_bits(caked_float(bits) + 0.5f) - 0x3f000000);
    uint32_t odd = bits >> 13 & 1;
    return sign | (uint16_t)((bits - 0x38000000 + 0xfff + odd) >> 13);
}

#endif

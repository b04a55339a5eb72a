// Blocks of the coarser types as signed quants and scales, a part of 32 elements at a time (ggml-common.h has the
// layouts).
//
// weight = scale * quant, and + shift where a type has one; products of a half float with the small integers here are
// exact.
#include "../grids.h"

// A part taken apart: quants in the order of the elements, and a scale and a shift for each eight of them.
typedef struct {
    int8_t quants[CAKED_BLOCK];
    float scales[4], shifts[4];
} coarse_part;

INLINE uint16_t load16(const uint8_t *p) { return caked_load16(p); }

INLINE void set_scales(coarse_part *p, float first, float second) {
    p->scales[0] = p->scales[1] = first;
    p->scales[2] = p->scales[3] = second;
}

// The levels that four bits stand for in IQ4_NL and IQ4_XS, and in MXFP4 (twice what OCP's e2m1 says).
static const int8_t levels_iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
static const int8_t levels_mxfp4[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

// Element j is the low nibble of byte j, element 16 + j the high one.
INLINE void put_levels(const int8_t *levels, const uint8_t *nibbles, int8_t *quants) {
    for (int j = 0; j < CAKED_BLOCK / 2; j++) {
        quants[j] = levels[nibbles[j] & 15];
        quants[CAKED_BLOCK / 2 + j] = levels[nibbles[j] >> 4];
    }
}

// 16 bytes: a scale (low nibble) and a shift (high) for each 16 elements; 64 of quants, two bits each; f16 scale and
// shift.
INLINE void coarse_q2_k(const uint8_t *w, int part, coarse_part *p) {
    const uint8_t *factors = w + 2 * part, *quants = w + 16 + part / 4 * CAKED_BLOCK;
    float scale = half_at(w + 80), shift = -half_at(w + 82);
    set_scales(p, scale * (float)(factors[0] & 15), scale * (float)(factors[1] & 15));
    p->shifts[0] = p->shifts[1] = shift * (float)(factors[0] >> 4);
    p->shifts[2] = p->shifts[3] = shift * (float)(factors[1] >> 4);
    for (int j = 0; j < CAKED_BLOCK; j++) p->quants[j] = (int8_t)(quants[j] >> part % 4 * 2 & 3);
}

// The factor of 16 elements: four bits in the first eight bytes, low nibbles first, two more in the last four; minus
// 32.
INLINE int factor_q3_k(const uint8_t *w, int sixteen) {
    const uint8_t *factors = w + 96;
    int low = factors[sixteen % 8] >> sixteen / 8 * 4 & 15, high = factors[8 + sixteen % 4] >> sixteen / 4 * 2 & 3;
    return (low | high << 4) - 32;
}

// 32 bytes of third bits, 64 of quants, two bits each, 12 of factors, f16 scale; minus 4.
INLINE int8_t quant_q3_k(const uint8_t *w, int part, int j) {
    int low = w[32 + part / 4 * CAKED_BLOCK + j] >> part % 4 * 2 & 3, third = w[j] >> part & 1;
    return (int8_t)((low | third << 2) - 4);
}

INLINE void coarse_q3_k(const uint8_t *w, int part, coarse_part *p) {
    float scale = half_at(w + 108);
    set_scales(p, scale * (float)factor_q3_k(w, 2 * part), scale * (float)factor_q3_k(w, 2 * part + 1));
    for (int j = 0; j < CAKED_BLOCK; j++) p->quants[j] = quant_q3_k(w, part, j);
}

INLINE void coarse_iq4_nl(const uint8_t *w, int part, coarse_part *p) {
    (void)part;
    set_scales(p, half_at(w), half_at(w));
    put_levels(levels_iq4, w + 2, p->quants);
}

// f16 scale, 16 bits with two upper bits of each part's factor, 4 bytes with four lower ones, 128 of nibbles; minus 32.
INLINE int factor_iq4_xs(const uint8_t *w, int part) {
    int low = w[4 + part / 2] >> part % 2 * 4 & 15, high = load16(w + 2) >> 2 * part & 3;
    return (low | high << 4) - 32;
}

INLINE void coarse_iq4_xs(const uint8_t *w, int part, coarse_part *p) {
    float scale = half_at(w) * (float)factor_iq4_xs(w, part);
    set_scales(p, scale, scale);
    put_levels(levels_iq4, w + 8 + part * CAKED_BLOCK / 2, p->quants);
}

// An exponent, of which half the power is taken since levels are doubled, and 16 bytes of nibbles.
INLINE void coarse_mxfp4(const uint8_t *w, int part, coarse_part *p) {
    (void)part;
    float scale = caked_float(w[0] < 2 ? 0x00200000u << w[0] : (uint32_t)(w[0] - 1) << 23);
    set_scales(p, scale, scale);
    put_levels(levels_mxfp4, w + 1, p->quants);
}

// Bytes of five, or four, numbers of base 3, the first of each before the second of each; f16 scale; minus 1.
INLINE void coarse_tq1_0(const uint8_t *w, int part, coarse_part *p) {
    static const uint8_t powers[5] = {1, 3, 9, 27, 81};
    set_scales(p, half_at(w + 52), half_at(w + 52));
    for (int j = 0; j < CAKED_BLOCK; j++) {
        int i = part * CAKED_BLOCK + j;
        uint8_t digits = i < 160   ? (uint8_t)(w[i % 32] * powers[i / 32])
                         : i < 240 ? (uint8_t)(w[32 + (i - 160) % 16] * powers[(i - 160) / 16])
                                   : (uint8_t)(w[48 + (i - 240) % 4] * powers[(i - 240) / 4]);
        p->quants[j] = (int8_t)((digits * 3 >> 8) - 1);
    }
}

// 64 bytes of quants, two bits each; f16 scale; minus 1.
INLINE void coarse_tq2_0(const uint8_t *w, int part, coarse_part *p) {
    const uint8_t *quants = w + part / 4 * CAKED_BLOCK;
    set_scales(p, half_at(w + 64), half_at(w + 64));
    for (int j = 0; j < CAKED_BLOCK; j++) p->quants[j] = (int8_t)((quants[j] >> part % 4 * 2 & 3) - 1);
}

// Seven signs, and an eighth that makes their number even.
INLINE uint8_t even_signs(uint32_t seven) { return (uint8_t)(seven | (uint32_t)(__builtin_popcount(seven) & 1) << 7); }

// Eight quants of IQ2: codes of two bits, and a bit for each that is negative.
INLINE void put_iq2(uint16_t codes, uint8_t signs, int8_t *quants) {
    static const int8_t numbers[4] = {8, 25, 43, 0};
    for (int j = 0; j < 8; j++) {
        int8_t number = numbers[codes >> 2 * j & 3];
        quants[j] = signs >> j & 1 ? (int8_t)-number : number;
    }
}

// f16 scale; of each part four indices, then four times seven signs and the part's factor in the upper four bits.
INLINE void coarse_iq2_xxs(const uint8_t *w, int part, coarse_part *p) {
    const uint8_t *indices = w + 2 + 8 * part;
    uint32_t signs = load32(indices + 4);
    float scale = half_at(w) * (0.5f + (float)(signs >> 28)) * 0.25f;
    set_scales(p, scale, scale);
    for (int k = 0; k < 4; k++) put_iq2(grid_iq2_xxs[indices[k]], even_signs(signs >> 7 * k & 127), p->quants + 8 * k);
}

// The factors of a part's halves are the nibbles of a byte.
INLINE void set_half_factors(coarse_part *p, float scale, uint8_t factors) {
    set_scales(p, scale * (0.5f + (float)(factors & 15)) * 0.25f, scale * (0.5f + (float)(factors >> 4)) * 0.25f);
}

// f16 scale; 16 bits for each eight: index (9) and signs (7); a byte of factors for each part.
INLINE void coarse_iq2_xs(const uint8_t *w, int part, coarse_part *p) {
    set_half_factors(p, half_at(w), w[66 + part]);
    for (int k = 0; k < 4; k++) {
        uint16_t both = load16(w + 2 + 8 * part + 2 * k);
        put_iq2(grid_iq2_xs[both & 511], even_signs(both >> 9), p->quants + 8 * k);
    }
}

// f16 scale; 32 bytes of indices, 32 of signs, 8 of two upper bits of the indices, 8 of factors.
INLINE void coarse_iq2_s(const uint8_t *w, int part, coarse_part *p) {
    set_half_factors(p, half_at(w), w[74 + part]);
    for (int k = 0; k < 4; k++) {
        int index = w[2 + 4 * part + k] | (w[66 + part] >> 2 * k & 3) << 8;
        put_iq2(grid_iq2_s[index], w[34 + 4 * part + k], p->quants + 8 * k);
    }
}

// Four quants of IQ3: codes of four bits.
INLINE void put_iq3(uint16_t codes, uint8_t signs, const int8_t *numbers, int8_t *quants) {
    for (int j = 0; j < 4; j++) {
        int8_t number = numbers[codes >> 4 * j & 7];
        quants[j] = signs >> j & 1 ? (int8_t)-number : number;
    }
}

// f16 scale; 64 bytes of indices; for each part four times seven signs and the factor in the upper four bits.
INLINE void coarse_iq3_xxs(const uint8_t *w, int part, coarse_part *p) {
    static const int8_t numbers[8] = {4, 12, 20, 28, 36, 44, 52, 62};
    uint32_t signs = load32(w + 66 + 4 * part);
    float scale = half_at(w) * (0.5f + (float)(signs >> 28)) * 0.5f;
    set_scales(p, scale, scale);
    for (int k = 0; k < 8; k++) {
        uint8_t eight = even_signs(signs >> 7 * (k / 2) & 127);
        put_iq3(grid_iq3_xxs[w[2 + 8 * part + k]], eight >> k % 2 * 4, numbers, p->quants + 4 * k);
    }
}

// f16 scale; 64 bytes of indices, 8 of their ninth bits, 32 of signs, 4 of factors.
INLINE void coarse_iq3_s(const uint8_t *w, int part, coarse_part *p) {
    static const int8_t numbers[8] = {1, 3, 5, 7, 9, 11, 13, 15};
    float scale = half_at(w) * (float)(1 + 2 * (w[106 + part / 2] >> part % 2 * 4 & 15));
    set_scales(p, scale, scale);
    for (int k = 0; k < 8; k++) {
        int index = w[2 + 8 * part + k] | (w[66 + part] >> k & 1) << 8;
        put_iq3(grid_iq3_s[index], w[74 + 4 * part + k / 2] >> k % 2 * 4, numbers, p->quants + 4 * k);
    }
}

// Eight quants of IQ1 in eighths: -1, 0 or 1, and an eighth more or less.
INLINE void put_iq1(uint16_t codes, bool isLess, int8_t *quants) {
    for (int j = 0; j < 8; j++) quants[j] = (int8_t)(8 * ((int)(codes >> 2 * j & 3) - 1) + (isLess ? -1 : 1));
}

// f16 scale; 32 bytes of indices; for each part 16 bits: three upper bits of four indices, factor, the side of the
// eighth.
INLINE void coarse_iq1_s(const uint8_t *w, int part, coarse_part *p) {
    uint16_t upper = load16(w + 34 + 2 * part);
    float scale = half_at(w) * (float)(2 * (upper >> 12 & 7) + 1) * 0.125f;
    set_scales(p, scale, scale);
    for (int k = 0; k < 4; k++) {
        int index = w[2 + 4 * part + k] | (upper >> 3 * k & 7) << 8;
        put_iq1(grid_iq1[index], upper >> 15, p->quants + 8 * k);
    }
}

// 32 bytes of indices; 16 with three upper bits and a side for each; four times 16 bits: four factors of three bits,
// and four bits of the f16 scale.
INLINE void coarse_iq1_m(const uint8_t *w, int part, coarse_part *p) {
    uint8_t half[2] = {(uint8_t)(w[49] >> 4 | (w[51] & 0xf0)), (uint8_t)(w[53] >> 4 | (w[55] & 0xf0))};
    float scale = half_at(half);
    uint16_t factors = load16(w + 48 + part / 2 * 2);
    factors >>= part % 2 * 6;
    set_scales(p, scale * (float)(2 * (factors & 7) + 1) * 0.125f, scale * (float)(2 * (factors >> 3 & 7) + 1) * 0.125f);
    for (int k = 0; k < 4; k++) {
        uint8_t upper = w[32 + 2 * part + k / 2] >> k % 2 * 4;
        put_iq1(grid_iq1[w[4 * part + k] | (upper & 7) << 8], upper & 8, p->quants + 8 * k);
    }
}

// X(TYPE, type, elements, bytes) for each of them.
#define COARSE_TYPES(X)                             \
    X(Q2_K, q2_k, CAKED_K_BLOCK, CAKED_Q2_K_BYTES)  \
    X(Q3_K, q3_k, CAKED_K_BLOCK, CAKED_Q3_K_BYTES)  \
    X(IQ4_NL, iq4_nl, CAKED_BLOCK, CAKED_IQ4_NL_BYTES)  \
    X(IQ4_XS, iq4_xs, CAKED_K_BLOCK, CAKED_IQ4_XS_BYTES)  \
    X(MXFP4, mxfp4, CAKED_BLOCK, CAKED_MXFP4_BYTES)  \
    X(TQ1_0, tq1_0, CAKED_K_BLOCK, CAKED_TQ1_0_BYTES)  \
    X(TQ2_0, tq2_0, CAKED_K_BLOCK, CAKED_TQ2_0_BYTES)  \
    X(IQ2_XXS, iq2_xxs, CAKED_K_BLOCK, CAKED_IQ2_XXS_BYTES)  \
    X(IQ2_XS, iq2_xs, CAKED_K_BLOCK, CAKED_IQ2_XS_BYTES)  \
    X(IQ2_S, iq2_s, CAKED_K_BLOCK, CAKED_IQ2_S_BYTES)  \
    X(IQ3_XXS, iq3_xxs, CAKED_K_BLOCK, CAKED_IQ3_XXS_BYTES)  \
    X(IQ3_S, iq3_s, CAKED_K_BLOCK, CAKED_IQ3_S_BYTES)  \
    X(IQ1_S, iq1_s, CAKED_K_BLOCK, CAKED_IQ1_S_BYTES)  \
    X(IQ1_M, iq1_m, CAKED_K_BLOCK, CAKED_IQ1_M_BYTES)

INLINE void put_coarse(const coarse_part *p, bool isShifted, float *to) {
    for (int j = 0; j < CAKED_BLOCK; j++) {
        float weight = p->scales[j / 8] * (float)p->quants[j];
        to[j] = isShifted ? weight + p->shifts[j / 8] : weight;
    }
}

// A whole block as floats: a function of its own, since these are long and are called from many places.
#define DEFINE_COARSE(TYPE, type, elements, bytes)                                                    \
    __attribute__((noinline)) static void unpack_##type(const uint8_t *w, float *to) {                \
        for (int part = 0; part < elements / CAKED_BLOCK; part++, to += CAKED_BLOCK) {                \
            coarse_part p;                                                                            \
            coarse_##type(w, part, &p);                                                               \
            put_coarse(&p, CAKED_##TYPE == CAKED_Q2_K, to);                                           \
        }                                                                                             \
    }
COARSE_TYPES(DEFINE_COARSE)
#undef DEFINE_COARSE

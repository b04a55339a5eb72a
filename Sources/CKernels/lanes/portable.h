// Four lanes in clang's vector types: what any CPU's baseline runs. The other files of this folder give the same names.
#define LANES 4
// Rows of a product that are held in registers beside three vectors.
#define SIDE 4

typedef float lanes __attribute__((vector_size(4 * LANES)));
typedef uint32_t bits __attribute__((vector_size(4 * LANES)));

INLINE lanes v_set(float x) { return (lanes){x, x, x, x}; }

INLINE lanes v_load(const float *p) {
    lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE void v_store(float *p, lanes v) { memcpy(p, &v, sizeof v); }

// The first n < LANES elements, `fill` in the others.
INLINE lanes v_load_first(const float *p, size_t n, float fill) {
    lanes v = v_set(fill);
    for (size_t i = 0; i < n; i++) v[i] = p[i];
    return v;
}

INLINE void v_store_first(float *p, lanes v, size_t n) {
    for (size_t i = 0; i < n; i++) p[i] = v[i];
}

INLINE lanes v_fma(lanes a, lanes b, lanes c) { return a * b + c; }

// Where one of the two is NaN: b.
INLINE lanes v_max(lanes a, lanes b) {
    bits greater = (bits)(a > b);
    return (lanes)((greater & (bits)a) | (~greater & (bits)b));
}

// Whether some element of a is greater than b's.
INLINE bool v_exceeds(lanes a, lanes b) {
    bits greater = (bits)(a > b);
    return (greater[0] | greater[1] | greater[2] | greater[3]) != 0;
}

INLINE float v_sum(lanes v) { return (v[0] + v[2]) + (v[1] + v[3]); }

INLINE void v_sum4(float *p, lanes a, lanes b, lanes c, lanes d) {
    p[0] = v_sum(a), p[1] = v_sum(b), p[2] = v_sum(c), p[3] = v_sum(d);
}

INLINE float v_max_of(lanes v) {
    float a = v[0] > v[1] ? v[0] : v[1], b = v[2] > v[3] ? v[2] : v[3];
    return a > b ? a : b;
}

INLINE lanes v_load_half(const uint8_t *p) {
    return (lanes){caked_from_half(caked_load16(p)), caked_from_half(caked_load16(p + 2)),
                   caked_from_half(caked_load16(p + 4)), caked_from_half(caked_load16(p + 6))};
}

INLINE void v_store_half(uint8_t *p, lanes v) {
    uint16_t halves[LANES];
    for (int i = 0; i < LANES; i++) halves[i] = caked_to_half(v[i]);
    memcpy(p, halves, sizeof halves);
}

INLINE lanes v_set_half(const uint8_t *p) { return v_set(caked_from_half(caked_load16(p))); }

INLINE lanes v_load_bfloat(const uint8_t *p) {
    uint16_t s[LANES];
    memcpy(s, p, sizeof s);
    return (lanes)(((bits){s[0], s[1], s[2], s[3]}) << 16);
}

INLINE lanes v_load_int8(const uint8_t *p) {
    int8_t s[LANES];
    memcpy(s, p, sizeof s);
    return (lanes){s[0], s[1], s[2], s[3]};
}

// The low, or high, nibbles of LANES bytes, minus 8.
INLINE lanes v_load_low(const uint8_t *p) {
    return (lanes){(p[0] & 15) - 8, (p[1] & 15) - 8, (p[2] & 15) - 8, (p[3] & 15) - 8};
}

INLINE lanes v_load_high(const uint8_t *p) {
    return (lanes){(p[0] >> 4) - 8, (p[1] >> 4) - 8, (p[2] >> 4) - 8, (p[3] >> 4) - 8};
}

#include "levels.h"
#include "transpose.h"

// Blocks of the finer types as floats in registers, a part of 32 elements at a time (ggml-common.h has the layouts).
//
// A weight is scale * quant + shift; scales and shifts of the K types are themselves products with small integers. All
// these products are exact in a float, only the sum is rounded: fused or separate instructions give the same bits.

enum { PART_LANES = CAKED_BLOCK / LANES, K_PARTS = CAKED_K_BLOCK / CAKED_BLOCK };

typedef int32_t integers __attribute__((vector_size(4 * LANES)));

// What turns the quants of a block into weights: one of each for a part, or two scales where halves of a part differ.
typedef struct {
    float scale[2 * K_PARTS], shift[K_PARTS];
} factors;

INLINE bits v_load_bytes(const uint8_t *p) {
    typedef uint8_t bytes __attribute__((vector_size(LANES)));
    bytes narrow;
    memcpy(&narrow, p, sizeof narrow);
    return __builtin_convertvector(narrow, bits);
}

INLINE lanes v_from_integers(bits x) { return __builtin_convertvector((integers)x, lanes); }
INLINE float half_at(const uint8_t *p) { return v_set_half(p)[0]; }

INLINE uint32_t load32(const uint8_t *p) {
    uint32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

// Quants k * LANES ... of a part of 32: low nibbles of 16 bytes, then high ones.
INLINE bits half_nibbles(const uint8_t *p, int k) {
    int first = k * LANES;
    return first < CAKED_BLOCK / 2 ? v_load_bytes(p + first) : v_load_bytes(p + first - CAKED_BLOCK / 2) >> 4;
}

// The fifth bits of the same quants: one bit for each of the 32, moved to the place of the fifth.
INLINE bits fifth_bits(uint32_t fifths, int k) {
    bits place;
    UNROLL for (int i = 0; i < LANES; i++) place[i] = (uint32_t)(k * LANES + i);
    return ((bits){0} + fifths) >> place << 4;
}

INLINE void factors_q4_1(const uint8_t *w, factors *f) { f->scale[0] = half_at(w), f->shift[0] = half_at(w + 2); }

INLINE void part_q4_1(const uint8_t *w, const factors *f, int part, lanes *weights) {
    (void)part;
    levels table = v_levels(f->scale[0], f->shift[0]);
    UNROLL for (int k = 0; k < PART_LANES; k++) weights[k] = v_level4(table, half_nibbles(w + 4, k));
}

INLINE void factors_q5_0(const uint8_t *w, factors *f) { f->scale[0] = half_at(w); }

INLINE void part_q5_0(const uint8_t *w, const factors *f, int part, lanes *weights) {
    (void)part;
    uint32_t fifths = load32(w + 2);
    UNROLL for (int k = 0; k < PART_LANES; k++) {
        bits quants = (half_nibbles(w + 6, k) & 15) | (fifth_bits(fifths, k) & 16);
        weights[k] = v_set(f->scale[0]) * v_from_integers(quants - 16);
    }
}

INLINE void factors_q5_1(const uint8_t *w, factors *f) { factors_q4_1(w, f); }

INLINE void part_q5_1(const uint8_t *w, const factors *f, int part, lanes *weights) {
    (void)part;
    uint32_t fifths = load32(w + 4);
    levels table = v_levels(f->scale[0], f->shift[0]);
    UNROLL for (int k = 0; k < PART_LANES; k++) {
        weights[k] = v_level5(table, (half_nibbles(w + 8, k) & 15) | fifth_bits(fifths, k));
    }
}

// Twelve bytes hold eight scales and eight shifts of six bits: the first four of each in the low bits of bytes 0-3 and
// 4-7, the others with their low nibbles in bytes 8-11 and their upper bits on top of bytes 0-3 and 4-7.
INLINE void factors_q4_k(const uint8_t *w, factors *f) {
    typedef uint8_t eight_bytes __attribute__((vector_size(K_PARTS)));
    typedef float eight __attribute__((vector_size(4 * K_PARTS)));
    uint32_t a = load32(w + 4), b = load32(w + 8), c = load32(w + 12);
    uint32_t scales[2] = {a & 0x3f3f3f3f, (c & 0x0f0f0f0f) | (a >> 2 & 0x30303030)};
    uint32_t shifts[2] = {b & 0x3f3f3f3f, (c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030)};
    eight_bytes scale, shift;
    memcpy(&scale, scales, sizeof scale);
    memcpy(&shift, shifts, sizeof shift);
    eight scale_factors = __builtin_convertvector(scale, eight) * half_at(w);
    eight shift_factors = __builtin_convertvector(shift, eight) * -half_at(w + 2);  // they are subtracted
    memcpy(f->scale, &scale_factors, sizeof scale_factors);
    memcpy(f->shift, &shift_factors, sizeof shift_factors);
}

// Two parts share 32 bytes: the first has the low nibbles, the second the high ones.
INLINE void part_q4_k(const uint8_t *w, const factors *f, int part, lanes *weights) {
    const uint8_t *nibbles = w + 16 + part / 2 * CAKED_BLOCK;
    levels table = v_levels(f->scale[part], f->shift[part]);
    UNROLL for (int k = 0; k < PART_LANES; k++) {
        weights[k] = v_level4(table, v_load_bytes(nibbles + k * LANES) >> part % 2 * 4);
    }
}

INLINE void factors_q5_k(const uint8_t *w, factors *f) { factors_q4_k(w, f); }

// Bit p of the j-th of the 32 bytes before the nibbles is the fifth bit of element j of part p.
INLINE void part_q5_k(const uint8_t *w, const factors *f, int part, lanes *weights) {
    const uint8_t *fifths = w + 16, *nibbles = fifths + CAKED_BLOCK + part / 2 * CAKED_BLOCK;
    levels table = v_levels(f->scale[part], f->shift[part]);
    UNROLL for (int k = 0; k < PART_LANES; k++) {
        bits fifth = v_load_bytes(fifths + k * LANES) >> part << 4;
        weights[k] = v_level5(table, (v_load_bytes(nibbles + k * LANES) >> part % 2 * 4 & 15) | fifth);
    }
}

INLINE void factors_q6_k(const uint8_t *w, factors *f) {
    const uint8_t *scales = w + 192;
    lanes scale = v_set_half(scales + 2 * K_PARTS);
    UNROLL for (int k = 0; k < 2 * K_PARTS; k += LANES) v_store(f->scale + k, scale * v_load_int8(scales + k));
}

// Four parts share 64 bytes of nibbles and 32 bytes of upper bits: two have the low nibbles, two the high ones. Quants
// are put together as bytes, before they take a lane each.
INLINE void part_q6_k(const uint8_t *w, const factors *f, int part, lanes *weights) {
    typedef uint8_t bytes __attribute__((vector_size(CAKED_BLOCK)));
    bytes nibbles, upper;
    memcpy(&nibbles, w + part / 4 * 64 + part % 2 * CAKED_BLOCK, sizeof nibbles);
    memcpy(&upper, w + 128 + part / 4 * CAKED_BLOCK, sizeof upper);
    bytes quants = ((nibbles >> part % 4 / 2 * 4 & 15) | (upper >> part % 4 * 2 & 3) << 4) - 32;
    UNROLL for (int k = 0; k < PART_LANES; k++) {
        lanes scale = v_set(f->scale[2 * part + k / (PART_LANES / 2)]);
        weights[k] = scale * v_load_int8((const uint8_t *)&quants + k * LANES);
    }
}

// Stored blocks taken apart: quants as unsigned bytes in the order of the inputs, and where their scales lie.

typedef uint8_t half_bytes __attribute__((vector_size(CAKED_BLOCK / 2)));

INLINE half_bytes load_half_block(const uint8_t *p) {
    half_bytes v;
    memcpy(&v, p, sizeof v);
    return v;
}

// Of a block of 32, element j is the low nibble of byte j, element 16 + j the high one.
INLINE half_bytes nibbles_of(const uint8_t *p, int half) { return load_half_block(p) >> 4 * half & 15; }

// Bits 16 * half ... of four bytes, at the place of a fifth bit.
INLINE half_bytes fifths_of(const uint8_t *p, int half) {
    const half_bytes bit = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    half_bytes v;
    UNROLL for (int j = 0; j < CAKED_BLOCK / 2; j++) v[j] = p[2 * half + j / 8];
    return (half_bytes)((v & bit) != 0) & 16;
}

// table[index[j]] for each j.
INLINE half_bytes choose(half_bytes table, half_bytes index) {
#ifdef CAKED_CHOOSE
    return (half_bytes)CAKED_CHOOSE(table, index);
#else
    half_bytes v;
    UNROLL for (int j = 0; j < CAKED_BLOCK / 2; j++) v[j] = table[index[j]];
    return v;
#endif
}

// The levels that nibbles choose, as unsigned bytes.
INLINE half_bytes levels_of(const int8_t *levels, const uint8_t *nibbles, int half) {
    return choose(load_half_block((const uint8_t *)levels) ^ 128, nibbles_of(nibbles, half));
}

// A power of two as MXFP4 has it, halved since its levels are doubled, as a half: 0 below all of them, infinity above.
INLINE uint16_t half_of_power(uint8_t exponent) {
    if (exponent >= 144) return 0x7c00;
    if (exponent >= 114) return (uint16_t)((exponent - 113) << 10);
    return exponent >= 104 ? (uint16_t)(1 << (exponent - 104)) : 0;
}

// The quants of elements 16 * half ... of part `part` of a block.
INLINE half_bytes quants_of(caked_type type, const uint8_t *w, int part, int half) {
    const int place = half * CAKED_BLOCK / 2;
    switch (type) {
        case CAKED_Q4_0: return nibbles_of(w + 2, half);
        case CAKED_Q4_1: return nibbles_of(w + 4, half);
        case CAKED_Q5_0: return nibbles_of(w + 6, half) | fifths_of(w + 2, half);
        case CAKED_Q5_1: return nibbles_of(w + 8, half) | fifths_of(w + 4, half);
        case CAKED_Q4_K: return load_half_block(w + 16 + part / 2 * CAKED_BLOCK + place) >> part % 2 * 4 & 15;
        case CAKED_Q5_K:
            return (load_half_block(w + 48 + part / 2 * CAKED_BLOCK + place) >> part % 2 * 4 & 15) |
                   (load_half_block(w + 16 + place) >> part & 1) << 4;
        case CAKED_Q6_K:
            return (load_half_block(w + part / 4 * 64 + part % 2 * CAKED_BLOCK + place) >> part % 4 / 2 * 4 & 15) |
                   (load_half_block(w + 128 + part / 4 * CAKED_BLOCK + place) >> part % 4 * 2 & 3) << 4;
        case CAKED_Q3_K: {
            half_bytes v;
            UNROLL for (int j = 0; j < CAKED_BLOCK / 2; j++) v[j] = (uint8_t)(quant_q3_k(w, part, place + j) + 32);
            return v;
        }
        case CAKED_IQ4_NL: return levels_of(levels_iq4, w + 2, half);
        case CAKED_IQ4_XS: return levels_of(levels_iq4, w + 8 + part * CAKED_BLOCK / 2, half);
        case CAKED_MXFP4: return levels_of(levels_mxfp4, w + 1, half);
        default: return load_half_block(w + 2 + place) ^ 128;  // Q8_0
    }
}

INLINE void put_quants(caked_type type, const uint8_t *w, int part, uint8_t *to) {
    UNROLL for (int half = 0; half < 2; half++) {
        half_bytes v = quants_of(type, w, part, half);
        memcpy(to + half * sizeof v, &v, sizeof v);
    }
}

// A K block's factors of its eight parts: `second` are those of the shifts, or of a part's second half.
INLINE void part_factors(caked_type type, const uint8_t *w, uint8_t *first, uint8_t *second) {
    if (type == CAKED_Q6_K) {
        for (int part = 0; part < K_PARTS; part++) first[part] = w[192 + 2 * part], second[part] = w[193 + 2 * part];
        return;
    }
    if (type == CAKED_Q3_K) {
        for (int part = 0; part < K_PARTS; part++) {
            first[part] = (uint8_t)factor_q3_k(w, 2 * part), second[part] = (uint8_t)factor_q3_k(w, 2 * part + 1);
        }
        return;
    }
    if (type == CAKED_IQ4_XS) {
        for (int part = 0; part < K_PARTS; part++) first[part] = (uint8_t)factor_iq4_xs(w, part), second[part] = 0;
        return;
    }
    uint32_t a = load32(w + 4), b = load32(w + 8), c = load32(w + 12);
    uint32_t scales[2] = {a & 0x3f3f3f3f, (c & 0x0f0f0f0f) | (a >> 2 & 0x30303030)};
    uint32_t shifts[2] = {b & 0x3f3f3f3f, (c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030)};
    memcpy(first, scales, sizeof scales);
    memcpy(second, shifts, sizeof shifts);
}

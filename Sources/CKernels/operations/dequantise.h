// Stored elements to float and back.

INLINE void dequantise_f16(const uint8_t *src, float *dst, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) v_store(dst + i, v_load_half(src + 2 * i));
    for (; i < count; i++) dst[i] = caked_from_half(caked_load16(src + 2 * i));
}

INLINE void dequantise_bf16(const uint8_t *src, float *dst, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) v_store(dst + i, v_load_bfloat(src + 2 * i));
    for (; i < count; i++) dst[i] = caked_float((uint32_t)caked_load16(src + 2 * i) << 16);
}

INLINE void dequantise_q8_0(const uint8_t *src, float *dst, size_t count) {
    for (size_t i = 0; i + CAKED_BLOCK <= count; i += CAKED_BLOCK, src += CAKED_Q8_0_BYTES) {
        lanes scale = v_set_half(src);
        for (size_t k = 0; k < CAKED_BLOCK; k += LANES) v_store(dst + i + k, scale * v_load_int8(src + 2 + k));
    }
}

// Element j of a block is the low nibble of byte j, element 16 + j the high one.
INLINE void dequantise_q4_0(const uint8_t *src, float *dst, size_t count) {
    for (size_t i = 0; i + CAKED_BLOCK <= count; i += CAKED_BLOCK, src += CAKED_Q4_0_BYTES) {
        lanes scale = v_set_half(src);
        for (size_t k = 0; k < CAKED_BLOCK / 2; k += LANES) {
            v_store(dst + i + k, scale * v_load_low(src + 2 + k));
            v_store(dst + i + CAKED_BLOCK / 2 + k, scale * v_load_high(src + 2 + k));
        }
    }
}

#define DEFINE_TYPE(type, elements, bytes)                                                        \
    INLINE void dequantise_##type(const uint8_t *src, float *dst, size_t count) {                 \
        for (; count >= elements; count -= elements, src += bytes) {                              \
            factors f;                                                                            \
            factors_##type(src, &f);                                                              \
            for (int part = 0; part < elements / CAKED_BLOCK; part++, dst += CAKED_BLOCK) {       \
                lanes weights[PART_LANES];                                                        \
                part_##type(src, &f, part, weights);                                              \
                UNROLL for (int k = 0; k < PART_LANES; k++) v_store(dst + k * LANES, weights[k]); \
            }                                                                                     \
        }                                                                                         \
    }
DEFINE_TYPE(q4_1, CAKED_BLOCK, CAKED_Q4_1_BYTES)
DEFINE_TYPE(q5_0, CAKED_BLOCK, CAKED_Q5_0_BYTES)
DEFINE_TYPE(q5_1, CAKED_BLOCK, CAKED_Q5_1_BYTES)
DEFINE_TYPE(q4_k, CAKED_K_BLOCK, CAKED_Q4_K_BYTES)
DEFINE_TYPE(q5_k, CAKED_K_BLOCK, CAKED_Q5_K_BYTES)
DEFINE_TYPE(q6_k, CAKED_K_BLOCK, CAKED_Q6_K_BYTES)
#undef DEFINE_TYPE

#define DEFINE_TYPE(TYPE, type, elements, bytes)                                                  \
    INLINE void dequantise_##type(const uint8_t *src, float *dst, size_t count) {                 \
        for (; count >= elements; count -= elements, src += bytes, dst += elements) unpack_##type(src, dst); \
    }
COARSE_TYPES(DEFINE_TYPE)
#undef DEFINE_TYPE

static void dequantise(caked_type type, const void *src, float *dst, size_t count) {
    if (count == 0) return;
    switch (type) {
        case CAKED_F32: memcpy(dst, src, count * sizeof *dst); break;
        case CAKED_F16: dequantise_f16(src, dst, count); break;
        case CAKED_BF16: dequantise_bf16(src, dst, count); break;
        case CAKED_Q8_0: dequantise_q8_0(src, dst, count); break;
        case CAKED_Q4_0: dequantise_q4_0(src, dst, count); break;
        case CAKED_Q4_1: dequantise_q4_1(src, dst, count); break;
        case CAKED_Q5_0: dequantise_q5_0(src, dst, count); break;
        case CAKED_Q5_1: dequantise_q5_1(src, dst, count); break;
        case CAKED_Q4_K: dequantise_q4_k(src, dst, count); break;
        case CAKED_Q5_K: dequantise_q5_k(src, dst, count); break;
        case CAKED_Q6_K: dequantise_q6_k(src, dst, count); break;
#define CASE(TYPE, type, elements, bytes) \
    case CAKED_##TYPE: dequantise_##type(src, dst, count); break;
        COARSE_TYPES(CASE)
#undef CASE
        case CAKED_Q4: break;  // keys lie in groups: dequantise_keys
    }
}

INLINE void quantise_f16(const float *src, uint8_t *dst, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) v_store_half(dst + 2 * i, v_load(src + i));
    for (; i < count; i++) {
        uint16_t half = caked_to_half(src[i]);
        memcpy(dst + 2 * i, &half, sizeof half);
    }
}

INLINE void quantise_block_q8_0(const float *src, uint8_t *dst) {
    lanes largest = v_set(0);
    for (size_t k = 0; k < CAKED_BLOCK; k += LANES) {
        lanes x = v_load(src + k);
        largest = v_max(v_max(x, -x), largest);
    }
    float scale = v_max_of(largest) / 127;
    uint16_t half = caked_to_half(scale);
    float inverse = half == 0 ? 0 : 1 / scale;  // a scale that rounds to 0 stores zeros
    memcpy(dst, &half, sizeof half);
    for (size_t k = 0; k < CAKED_BLOCK; k++) {
        // The magic sum holds the nearest integer (even at ties) in its low bits, in two's complement.
        dst[2 + k] = (uint8_t)caked_bits(src[k] * inverse + 0x1.8p23f);
    }
}

// x in steps from `zero`, the nearest of `lowest` ..< lowest + 16 (even at ties), in the low four bits; NaN gives the
// lowest.
INLINE uint8_t quant4(float x, float zero, float inverse, float lowest) {
    float steps = (x - zero) * inverse, highest = lowest + 15;
    steps = steps > lowest ? steps : lowest;
    steps = steps < highest ? steps : highest;
    return (uint8_t)((caked_bits(steps + 0x1.8p23f) - (uint32_t)(int32_t)lowest) & 15);
}

// The step of sixteen levels from `low` to `high` as a half, and the inverse that quants are found by: 0 where it
// rounds to 0.
INLINE uint16_t step4(float low, float high, float *step, float *inverse) {
    uint16_t half = caked_to_half((high - low) / 15);
    *step = caked_from_half(half);
    *inverse = *step > 0 ? 1 / *step : 0;
    return half;
}

INLINE void quantise_block_q4_1(const float *src, uint8_t *dst) {
    float low = src[0], high = src[0], step, inverse;
    for (size_t k = 1; k < CAKED_BLOCK; k++) {
        low = src[k] < low ? src[k] : low;
        high = src[k] > high ? src[k] : high;
    }
    uint16_t scale = step4(low, high, &step, &inverse), shift = caked_to_half(low);
    float zero = caked_from_half(shift);
    memcpy(dst, &scale, sizeof scale);
    memcpy(dst + 2, &shift, sizeof shift);
    for (size_t k = 0; k < CAKED_BLOCK / 2; k++) {
        uint8_t upper = quant4(src[CAKED_BLOCK / 2 + k], zero, inverse, 0);
        dst[4 + k] = (uint8_t)(quant4(src[k], zero, inverse, 0) | upper << 4);
    }
}

static bool quantise(caked_type type, const float *src, void *dst, size_t count) {
    switch (type) {
        case CAKED_F32:
            if (count > 0) memcpy(dst, src, count * sizeof *src);
            return true;
        case CAKED_F16: quantise_f16(src, dst, count); return true;
        case CAKED_Q8_0:
            if (count % CAKED_BLOCK != 0) return false;
            for (size_t i = 0; i < count / CAKED_BLOCK; i++) {
                quantise_block_q8_0(src + i * CAKED_BLOCK, (uint8_t *)dst + i * CAKED_Q8_0_BYTES);
            }
            return true;
        case CAKED_Q4_1:
            if (count % CAKED_BLOCK != 0) return false;
            for (size_t i = 0; i < count / CAKED_BLOCK; i++) {
                quantise_block_q4_1(src + i * CAKED_BLOCK, (uint8_t *)dst + i * CAKED_Q4_1_BYTES);
            }
            return true;
        default: return false;
    }
}

// Keys in four bits with a scale and a centre for each channel of a group of entries (KIVI, arXiv 2402.02750).
//
// caked_kernels.h has the layout. Nibbles pick from -8 ... 7, so that unpacking is the one of Q4_0; scale * nibble is
// exact in a float and only the sum is rounded: fused or separate instructions give the same bits.

// Bytes before a group's nibbles: its scales, then its centres.
INLINE size_t channel_bytes(size_t width) { return 2 * 2 * width; }

// `count` keys of a head's groups, rows `stride` floats apart.
INLINE void dequantise_channels(const uint8_t *src, size_t count, size_t width, float *dst, size_t stride) {
    for (size_t first = 0; first < count; first += CAKED_KEY_GROUP) {
        const uint8_t *scales = src, *centres = src + 2 * width;
        src += channel_bytes(width);
        size_t present = count - first < CAKED_KEY_GROUP ? count - first : CAKED_KEY_GROUP;
        for (size_t e = 0; e < present; e++) {
            float *row = dst + (first + e) * stride;
            for (size_t i = 0; i < width; i += CAKED_BLOCK, src += CAKED_BLOCK / 2) {
                for (size_t k = 0; k < CAKED_BLOCK / 2; k += LANES) {
                    size_t low = i + k, high = low + CAKED_BLOCK / 2;
                    lanes a = v_fma(v_load_half(scales + 2 * low), v_load_low(src + k), v_load_half(centres + 2 * low));
                    lanes b = v_fma(v_load_half(scales + 2 * high), v_load_high(src + k), v_load_half(centres + 2 * high));
                    v_store(row + low, a);
                    v_store(row + high, b);
                }
            }
        }
    }
}

static void dequantise_keys(caked_type type, const void *src, size_t count, size_t width, float *dst) {
    if (type == CAKED_Q4) dequantise_channels(src, count, width, dst, width);
    else dequantise(type, src, dst, count * width);
}

// 32 channels of a group of `count` entries: their scales and centres, and their nibbles.
INLINE void quantise_channels(const float *keys, size_t count, size_t width, uint8_t *scales, uint8_t *centres,
                              uint8_t *nibbles) {
    float low[CAKED_BLOCK], high[CAKED_BLOCK], centre[CAKED_BLOCK], inverse[CAKED_BLOCK];
    for (size_t k = 0; k < CAKED_BLOCK; k++) low[k] = high[k] = keys[k];
    for (size_t e = 1; e < count; e++) {
        for (size_t k = 0; k < CAKED_BLOCK; k++) {
            float x = keys[e * width + k];
            low[k] = x < low[k] ? x : low[k];
            high[k] = x > high[k] ? x : high[k];
        }
    }
    for (size_t k = 0; k < CAKED_BLOCK; k++) {
        float step;
        uint16_t scale = step4(low[k], high[k], &step, &inverse[k]), half = caked_to_half(low[k] + 8 * step);
        centre[k] = caked_from_half(half);
        memcpy(scales + 2 * k, &scale, sizeof scale);
        memcpy(centres + 2 * k, &half, sizeof half);
    }
    for (size_t e = 0; e < count; e++) {
        const float *key = keys + e * width;
        for (size_t k = 0; k < CAKED_BLOCK / 2; k++) {
            size_t other = CAKED_BLOCK / 2 + k;
            uint8_t upper = quant4(key[other], centre[other], inverse[other], -8);
            nibbles[e * (width / 2) + k] = (uint8_t)(quant4(key[k], centre[k], inverse[k], -8) | upper << 4);
        }
    }
}

static bool quantise_keys(caked_type type, const float *keys, size_t count, size_t width, void *dst) {
    if (type != CAKED_Q4) return quantise(type, keys, dst, count * width);
    if (width % CAKED_BLOCK != 0) return false;
    uint8_t *group = dst;
    for (size_t first = 0; first < count; first += CAKED_KEY_GROUP) {
        size_t present = count - first < CAKED_KEY_GROUP ? count - first : CAKED_KEY_GROUP;
        uint8_t *nibbles = group + channel_bytes(width);
        for (size_t i = 0; i < width; i += CAKED_BLOCK) {
            quantise_channels(keys + first * width + i, present, width, group + 2 * i, group + 2 * width + 2 * i,
                              nibbles + i / 2);
        }
        group = nibbles + present * (width / 2);
    }
    return true;
}

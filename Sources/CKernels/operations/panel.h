// Weights re-tiled into panels and activations quantised: what products of bytes are made of. layout.h says how they
// lie.

#include "../layout.h"

// Four quants, or bytes of any sort, of each of LANES outputs.
typedef uint8_t quads __attribute__((vector_size(4 * LANES)));
// The same of a whole group.
typedef uint8_t quad_bytes __attribute__((vector_size(4 * PANEL_GROUP)));
// Two 16-bit integers in each of LANES places.
typedef int16_t int16_pairs __attribute__((vector_size(4 * LANES)));

#ifdef CAKED_DOT_LANES
#include CAKED_DOT_LANES
#else
#include "../lanes/dot.h"
#endif

#ifndef CAKED_TRANSPOSES
// to[k][o] = four bytes from 4 * k on of output o, whose bytes start `stride` behind those of the one before.
INLINE void transpose_group(const uint8_t *p, size_t stride, quad_bytes *to) {
    for (size_t o = 0; o < PANEL_GROUP; o++) {
        UNROLL for (size_t k = 0; k < CAKED_BLOCK / 4; k++) {
            memcpy((uint8_t *)(to + k) + 4 * o, p + o * stride + 4 * k, 4);
        }
    }
}
#endif

// Writes the quants of a group's block, 32 bytes of each output.
INLINE void pack_group(const int width, const uint8_t *p, size_t stride, bool flip, uint8_t *to) {
    quad_bytes quants[CAKED_BLOCK / 4], upper[2] = {{0}, {0}};
    transpose_group(p, stride, quants);
    if (width == 8) {
        UNROLL for (int k = 0; k < 8; k++) {
            quad_bytes v = flip ? quants[k] ^ 128 : quants[k];
            memcpy(to + k * sizeof v, &v, sizeof v);
        }
        return;
    }
    UNROLL for (int k = 0; k < 4; k++) {
        quad_bytes v = (quants[k] & 15) | quants[k + 4] << 4;
        memcpy(to + k * sizeof v, &v, sizeof v);
    }
    if (width == 4) return;
    UNROLL for (int k = 0; k < 8; k++) {
        if (width == 5) upper[0] |= (quants[k] >> 4 & 1) << k;
        if (width == 6) upper[k / 4] |= (quants[k] >> 4 & 3) << 2 * (k % 4);
    }
    memcpy(to + 4 * sizeof *upper, upper, (size_t)(width - 4) * sizeof *upper);
}

// Writes the scales of an output: `w` is its block or, of types of blocks of 32, the first of `blocks`.
INLINE void put_scales(caked_type type, const uint8_t *w, size_t blocks, size_t output, uint8_t *to) {
    const size_t quants = caked_panel_quants(type), block = caked_panel_block(type);
    if (!caked_panel_is_nested(type)) {
        const size_t stored = caked_bytes(type, CAKED_BLOCK);
        for (size_t b = 0; b < blocks; b++, w += stored, to += block) {
            uint16_t scale = type == CAKED_MXFP4 ? half_of_power(*w) : caked_load16(w);
            memcpy(to + quants + 2 * output, &scale, 2);
            if (caked_panel_is_shifted(type)) memcpy(to + quants + PANEL_HALVES + 2 * output, w + 2, 2);
        }
        return;
    }
    memcpy(to + 2 * output, type == CAKED_Q6_K ? w + 208 : type == CAKED_Q3_K ? w + 108 : w, 2);
    if (caked_panel_is_shifted(type)) memcpy(to + PANEL_HALVES + 2 * output, w + 2, 2);
    uint8_t first[K_PARTS], second[K_PARTS];
    part_factors(type, w, first, second);
    to += caked_panel_head(type) + quants + output;
    for (int part = 0; part < K_PARTS; part++, to += block) to[0] = first[part], to[PANEL_GROUP] = second[part];
}

// A group's rows are too short, and too many, for the hardware's prefetcher; but the next group lies right behind this
// one, so while a piece is re-tiled its share of the next group's bytes is fetched, in the order in which they lie.
INLINE void prefetch_share(uintptr_t next, size_t bytes) {
    for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const void *)(next + i), 0, 2);
}

// Writes a piece of a group: at most 8 blocks of `outputs` rows of weights, from `w` on.
INLINE void fill_blocks(caked_type type, const uint8_t *w, size_t row_bytes, size_t blocks, size_t outputs, uint8_t *to) {
    const bool nested = caked_panel_is_nested(type);
    const int width = caked_panel_bits(type);
    const size_t stored = caked_bytes(type, CAKED_BLOCK);
    const size_t head = caked_panel_head(type), block = caked_panel_block(type);
    if (outputs < PANEL_GROUP) memset(to, 0, caked_panel_group(type, blocks));
    for (size_t o = 0; o < outputs; o++) put_scales(type, w + o * row_bytes, blocks, o, to);
    if (type == CAKED_Q8_0 && outputs == PANEL_GROUP) {
        for (size_t b = 0; b < blocks; b++) pack_group(width, w + 2 + b * stored, row_bytes, true, to + b * block);
        return;
    }
    _Alignas(64) uint8_t quants[PANEL_GROUP * CAKED_K_BLOCK];
    if (outputs < PANEL_GROUP) memset(quants, 0, sizeof quants);
    for (size_t o = 0; o < outputs; o++) {
        const uint8_t *row = w + o * row_bytes;
        if (nested) {
            UNROLL for (int part = 0; part < K_PARTS; part++) {
                put_quants(type, row, part, quants + o * CAKED_K_BLOCK + part * CAKED_BLOCK);
            }
        } else {
            for (size_t b = 0; b < blocks; b++) {
                put_quants(type, row + b * stored, 0, quants + o * CAKED_K_BLOCK + b * CAKED_BLOCK);
            }
        }
    }
    for (size_t b = 0; b < blocks; b++) {
        pack_group(width, quants + b * CAKED_BLOCK, CAKED_K_BLOCK, false, to + head + b * block);
    }
}

// The same for any type, as a function of its own for each.
#define DEFINE_FILL(TYPE, type)                                                                                     \
    static void fill_##type(const uint8_t *w, size_t row_bytes, size_t blocks, size_t outputs, uint8_t *to) {       \
        fill_blocks(CAKED_##TYPE, w, row_bytes, blocks, outputs, to);                                               \
    }
DEFINE_FILL(Q4_0, q4_0)
DEFINE_FILL(Q4_1, q4_1)
DEFINE_FILL(Q5_0, q5_0)
DEFINE_FILL(Q5_1, q5_1)
DEFINE_FILL(Q8_0, q8_0)
DEFINE_FILL(Q4_K, q4_k)
DEFINE_FILL(Q5_K, q5_k)
DEFINE_FILL(Q6_K, q6_k)
DEFINE_FILL(Q3_K, q3_k)
DEFINE_FILL(IQ4_NL, iq4_nl)
DEFINE_FILL(IQ4_XS, iq4_xs)
DEFINE_FILL(MXFP4, mxfp4)
#undef DEFINE_FILL

static void fill_piece(caked_type type, const uint8_t *w, size_t row_bytes, size_t blocks, size_t outputs, uint8_t *to) {
    switch (type) {
        case CAKED_Q4_0: fill_q4_0(w, row_bytes, blocks, outputs, to); break;
        case CAKED_Q4_1: fill_q4_1(w, row_bytes, blocks, outputs, to); break;
        case CAKED_Q5_0: fill_q5_0(w, row_bytes, blocks, outputs, to); break;
        case CAKED_Q5_1: fill_q5_1(w, row_bytes, blocks, outputs, to); break;
        case CAKED_Q8_0: fill_q8_0(w, row_bytes, blocks, outputs, to); break;
        case CAKED_Q4_K: fill_q4_k(w, row_bytes, blocks, outputs, to); break;
        case CAKED_Q5_K: fill_q5_k(w, row_bytes, blocks, outputs, to); break;
        case CAKED_Q6_K: fill_q6_k(w, row_bytes, blocks, outputs, to); break;
        case CAKED_Q3_K: fill_q3_k(w, row_bytes, blocks, outputs, to); break;
        case CAKED_IQ4_NL: fill_iq4_nl(w, row_bytes, blocks, outputs, to); break;
        case CAKED_IQ4_XS: fill_iq4_xs(w, row_bytes, blocks, outputs, to); break;
        case CAKED_MXFP4: fill_mxfp4(w, row_bytes, blocks, outputs, to); break;
        default: break;  // no other has panels
    }
}

INLINE size_t at_most(size_t x, size_t limit) { return x < limit ? x : limit; }

static void panel_fill(caked_type type, const void *w, size_t inputs, size_t first, size_t outputs, void *panel) {
    size_t row_bytes = caked_bytes(type, inputs), blocks = inputs / CAKED_BLOCK;
    uint8_t *to = panel;
    for (size_t o = 0; o < outputs; o += PANEL_GROUP) {
        const uint8_t *from = (const uint8_t *)w + (first + o) * row_bytes;
        for (size_t b = 0; b < blocks; b += PANEL_PIECE) {
            size_t piece = at_most(blocks - b, PANEL_PIECE), bytes = caked_bytes(type, piece * CAKED_BLOCK);
            fill_piece(type, from, row_bytes, piece, at_most(outputs - o, PANEL_GROUP), to);
            from += bytes;
            to += caked_panel_group(type, piece);
        }
    }
}

// A product as it is rounded: keeps the compiler from fusing it with the addition that follows.
INLINE lanes v_rounded(lanes product) {
#if defined(__x86_64__)
    __asm__("" : "+v"(product));
#elif defined(__aarch64__)
    __asm__("" : "+w"(product));
#else
    __asm__("" : "+m"(product));
#endif
    return product;
}

// 32 floats as integers of at most 127 and a scale, nearest (even at ties); the scale is 0 where nothing can be scaled.
INLINE float quantise_block(const float *x, int8_t *quants) {
    lanes largest = v_set(0);
    UNROLL for (int k = 0; k < CAKED_BLOCK; k += LANES) {
        lanes v = v_load(x + k);
        largest = v_max(v_max(v, -v), largest);
    }
    float scale = v_max_of(largest) / 127, inverse = 1 / scale;
    if (!(inverse <= 0x1p126f) || !(scale <= 0x1p126f)) scale = inverse = 0;
    UNROLL for (int k = 0; k < CAKED_BLOCK; k += LANES) {
        typedef int8_t bytes __attribute__((vector_size(LANES)));
        // The magic sum holds the nearest integer in its low bits, in two's complement.
        integers nearest = (integers)(v_rounded(v_load(x + k) * v_set(inverse)) + v_set(0x1.8p23f));
        bytes narrow = __builtin_convertvector(nearest, bytes);
        memcpy(quants + k, &narrow, sizeof narrow);
    }
    return scale;
}

// Writes row r of the `rows` of a tile.
INLINE void quantise_row(const float *x, size_t blocks, size_t rows, size_t r, uint8_t *record) {
    for (size_t b = 0; b < blocks; b++, x += CAKED_BLOCK, record += rows * ROW_BYTES) {
        int8_t *quants = (int8_t *)record + r * CAKED_BLOCK;
        float scale = quantise_block(x, quants);
        int32_t halves[2] = {0, 0};
        UNROLL for (int k = 0; k < CAKED_BLOCK; k++) halves[k / (CAKED_BLOCK / 2)] += quants[k];
        int32_t sum = halves[0] + halves[1], offset = sum * -128;
        int16_t negated[2] = {(int16_t)-halves[0], (int16_t)-halves[1]};
        float scaled = scale * (float)sum;
        uint8_t *scales = record + rows * CAKED_BLOCK + 4 * r;
        memcpy(scales, &scale, 4);
        memcpy(scales + 4 * rows, &offset, 4);
        memcpy(scales + 8 * rows, negated, 4);
        memcpy(scales + 12 * rows, &scaled, 4);
    }
}

static void int8_rows(const float *x, size_t x_stride, size_t rows, size_t inputs, void *quantised) {
    size_t blocks = inputs / CAKED_BLOCK;
    for (size_t r = 0; r < rows; r++) {
        size_t tile = r / PANEL_ROWS * PANEL_ROWS;
        quantise_row(x + r * x_stride, blocks, at_most(rows - tile, PANEL_ROWS), r - tile,
                     (uint8_t *)quantised + tile * blocks * ROW_BYTES);
    }
}

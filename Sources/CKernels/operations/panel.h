// Dense products of bytes: weights re-tiled into a panel, activations quantised, sums exact within blocks of 32.
//
// A panel holds groups of 16 outputs, and of each group one record per block of inputs: 8 times 16 outputs' next four
// weights, then 16 scales, then what takes the activations' offset back: -128 * the sum of the block's weights, where
// the sum of products starts. Activations are unsigned, x / scale + 128, since that is what the CPU multiplies; rows
// lie in tiles of 8, and of each tile there is one record per block: 8 times 32 bytes, then 8 scales.
//
// y = sum over blocks, in order, of (exact sum of integer products) * (weight scale * activation scale), every float
// operation rounded by itself: the same bits on every CPU, however rows and outputs are split.

enum {
    PANEL_GROUP = CAKED_PANEL_OUTPUTS,
    PANEL_ROWS = CAKED_INT8_ROWS,
    PANEL_SCALES = PANEL_GROUP * CAKED_BLOCK,
    PANEL_OFFSETS = PANEL_SCALES + PANEL_GROUP * 4,
    PANEL_BYTES = PANEL_OFFSETS + PANEL_GROUP * 4,
    PANEL_PIECE = CAKED_K_BLOCK / CAKED_BLOCK,  // blocks that are re-tiled at once: a whole block of any type
    ROWS_SCALES = PANEL_ROWS * CAKED_BLOCK,
    ROWS_BYTES = ROWS_SCALES + PANEL_ROWS * 4,
};

#ifdef CAKED_DOT_LANES
#include CAKED_DOT_LANES
#else
#include "../lanes/dot.h"
#endif

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

// One block of 32 stored weights as bytes and their scale.
INLINE float weights_q8_0(const uint8_t *w, int8_t *quants) {
    memcpy(quants, w + 2, CAKED_BLOCK);
    return half_at(w);
}

INLINE float weights_q4_0(const uint8_t *w, int8_t *quants) {
    for (int k = 0; k < CAKED_BLOCK / 2; k++) {
        quants[k] = (int8_t)((w[2 + k] & 15) - 8);
        quants[k + CAKED_BLOCK / 2] = (int8_t)((w[2 + k] >> 4) - 8);
    }
    return half_at(w);
}

// Writes one output's weights of one block into its group's record.
INLINE void panel_put(uint8_t *record, size_t output, const int8_t *quants, float scale) {
    int32_t sum = 0;
    UNROLL for (int k = 0; k < CAKED_BLOCK; k++) sum += quants[k];
    sum *= -128;
    UNROLL for (size_t k = 0; k < CAKED_BLOCK; k += 4) memcpy(record + k * PANEL_GROUP + 4 * output, quants + k, 4);
    memcpy(record + PANEL_SCALES + 4 * output, &scale, sizeof scale);
    memcpy(record + PANEL_OFFSETS + 4 * output, &sum, sizeof sum);
}

// The records of `blocks` blocks of a group from block `first` on, which is where `w` points in its first output.
#define DEFINE_FILL(type, bytes)                                                                                    \
    static void fill_##type(const uint8_t *w, size_t row_bytes, size_t first, size_t blocks, size_t outputs,        \
                            uint8_t *to) {                                                                          \
        if (GROUP_IN_REGISTERS && outputs == PANEL_GROUP) {                                                         \
            group_##type(w, row_bytes, first, blocks, to);                                                          \
            return;                                                                                                 \
        }                                                                                                           \
        for (size_t b = 0; b < blocks; b++, w += bytes, to += PANEL_BYTES) {                                        \
            for (size_t o = 0; o < outputs; o++) {                                                                  \
                int8_t quants[CAKED_BLOCK];                                                                         \
                float scale = weights_##type(w + o * row_bytes, quants);                                            \
                panel_put(to, o, quants, scale);                                                                    \
            }                                                                                                       \
        }                                                                                                           \
    }
DEFINE_FILL(q8_0, CAKED_Q8_0_BYTES)
DEFINE_FILL(q4_0, CAKED_Q4_0_BYTES)
#undef DEFINE_FILL

static void dequantise(caked_type type, const void *src, float *dst, size_t count);

// Types whose blocks are no bytes times one scale: their values are quantised anew, 1 / 254 of the largest at worst.
static void fill_any(caked_type type, const uint8_t *w, size_t row_bytes, size_t blocks, size_t outputs, uint8_t *to) {
    const bool together = GROUP_IN_REGISTERS && outputs == PANEL_GROUP;
    _Alignas(64) int8_t quants[PANEL_GROUP * CAKED_K_BLOCK];
    for (size_t o = 0; o < outputs; o++) {
        float values[CAKED_K_BLOCK];
        dequantise(type, w + o * row_bytes, values, blocks * CAKED_BLOCK);
        for (size_t b = 0; b < blocks; b++) {
            int8_t *block = quants + o * CAKED_K_BLOCK + b * CAKED_BLOCK;
            float scale = quantise_block(values + b * CAKED_BLOCK, block);
            if (together) {
                memcpy(to + b * PANEL_BYTES + PANEL_SCALES + 4 * o, &scale, sizeof scale);
            } else {
                panel_put(to + b * PANEL_BYTES, o, block, scale);
            }
        }
    }
    for (size_t b = 0; together && b < blocks; b++) {
        group_bytes((const uint8_t *)quants + b * CAKED_BLOCK, CAKED_K_BLOCK, to + b * PANEL_BYTES);
    }
}

// The records of a piece of a group: at most PANEL_PIECE blocks from block b on, of `outputs` rows of weights from `w` on.
INLINE void fill_piece(caked_type type, const uint8_t *w, size_t row_bytes, size_t b, size_t blocks, size_t outputs,
                       uint8_t *to) {
    const uint8_t *from = w + caked_bytes(type, b * CAKED_BLOCK);
    if (outputs < PANEL_GROUP) memset(to, 0, blocks * PANEL_BYTES);
    switch (type) {
        case CAKED_Q8_0: fill_q8_0(from, row_bytes, b, blocks, outputs, to); break;
        case CAKED_Q4_0: fill_q4_0(from, row_bytes, b, blocks, outputs, to); break;
        default: fill_any(type, from, row_bytes, blocks, outputs, to); break;
    }
}

INLINE size_t at_most(size_t x, size_t limit) { return x < limit ? x : limit; }

static void panel_fill(caked_type type, const void *w, size_t inputs, size_t first, size_t outputs, void *panel) {
    size_t row_bytes = caked_bytes(type, inputs), blocks = inputs / CAKED_BLOCK;
    uint8_t *to = panel;
    for (size_t o = 0; o < outputs; o += PANEL_GROUP) {
        const uint8_t *from = (const uint8_t *)w + (first + o) * row_bytes;
        for (size_t b = 0; b < blocks; b += PANEL_PIECE) {
            size_t piece = at_most(blocks - b, PANEL_PIECE);
            fill_piece(type, from, row_bytes, b, piece, at_most(outputs - o, PANEL_GROUP), to);
            to += piece * PANEL_BYTES;
        }
    }
}

// Rows of a last, partial tile are left out: nothing reads their places.
static void int8_rows(const float *x, size_t x_stride, size_t rows, size_t inputs, void *quantised) {
    size_t blocks = inputs / CAKED_BLOCK;
    for (size_t r = 0; r < rows; r++, x += x_stride) {
        uint8_t *record = (uint8_t *)quantised + r / PANEL_ROWS * blocks * ROWS_BYTES;
        size_t place = r % PANEL_ROWS;
        for (size_t b = 0; b < blocks; b++, record += ROWS_BYTES) {
            int8_t quants[CAKED_BLOCK];
            float scale = quantise_block(x + b * CAKED_BLOCK, quants);
            UNROLL for (int k = 0; k < CAKED_BLOCK; k++) record[place * CAKED_BLOCK + k] = (uint8_t)quants[k] ^ 128;
            memcpy(record + ROWS_SCALES + 4 * place, &scale, sizeof scale);
        }
    }
}

// What a tile of rows needs to be multiplied with `blocks` records of a group, of which `outputs` are there.
typedef struct {
    const uint8_t *w, *x;
    size_t blocks, outputs;
    const float *bias;  // what the sums start with; NULL: 0
    bool continues;     // the sums start with y instead
    float *y;
    size_t y_stride;
} panel_product;

INLINE lanes load_outputs(const float *p, size_t n) { return n < LANES ? v_load_first(p, n, 0) : v_load(p); }

// LANES outputs of a group from the given one on.
INLINE void panel_lanes(const panel_product *m, size_t output, const int rows) {
    const uint8_t *w = m->w + 4 * output, *x = m->x;
    size_t outputs = m->outputs - output;
    lanes total[PANEL_ROWS];
    UNROLL for (int r = 0; r < rows; r++) {
        const float *start = m->continues ? m->y + r * m->y_stride : m->bias;
        total[r] = start ? load_outputs(start + output, outputs) : v_set(0);
    }
    for (size_t b = 0; b < m->blocks; b++, w += PANEL_BYTES, x += ROWS_BYTES) {
        integers offset, sum[PANEL_ROWS];
        memcpy(&offset, w + PANEL_OFFSETS, sizeof offset);
        UNROLL for (int r = 0; r < rows; r++) sum[r] = offset;
        UNROLL for (int k = 0; k < CAKED_BLOCK / 4; k++) {
            UNROLL for (int r = 0; r < rows; r++) {
                sum[r] = v_dot4(sum[r], load32(x + r * CAKED_BLOCK + 4 * k), w + k * 4 * PANEL_GROUP);
            }
        }
        lanes scale = v_load((const float *)(const void *)(w + PANEL_SCALES));
        UNROLL for (int r = 0; r < rows; r++) {
            lanes both = v_rounded(scale * v_set(caked_float(load32(x + ROWS_SCALES + 4 * r))));
            total[r] += v_rounded(__builtin_convertvector(sum[r], lanes) * both);
        }
    }
    UNROLL for (int r = 0; r < rows; r++) {
        float *y = m->y + r * m->y_stride + output;
        if (outputs < LANES) {
            v_store_first(y, total[r], outputs);
        } else {
            v_store(y, total[r]);
        }
    }
}

#define DEFINE_ROWS(rows)                                                                   \
    static void panel_rows_##rows(const panel_product *m) {                                 \
        for (size_t o = 0; o < m->outputs; o += LANES) panel_lanes(m, o, rows);             \
    }
DEFINE_ROWS(1)
DEFINE_ROWS(2)
DEFINE_ROWS(3)
DEFINE_ROWS(4)
DEFINE_ROWS(5)
DEFINE_ROWS(6)
DEFINE_ROWS(7)
DEFINE_ROWS(8)
#undef DEFINE_ROWS

// One group and all rows, tile by tile; `x` is the first block's record of the first tile, of `row_blocks` blocks.
INLINE void panel_group(panel_product m, size_t row_blocks, size_t rows) {
    static void (*const functions[])(const panel_product *) = {
        panel_rows_1, panel_rows_2, panel_rows_3, panel_rows_4, panel_rows_5, panel_rows_6, panel_rows_7, panel_rows_8};
    for (size_t r = 0; r < rows; r += PANEL_ROWS) {
        functions[at_most(rows - r, PANEL_ROWS) - 1](&m);
        m.x += row_blocks * ROWS_BYTES;
        m.y += PANEL_ROWS * m.y_stride;
    }
}

static void panel_matmul(const void *panel, size_t inputs, size_t outputs, const void *quantised, size_t rows, float *y,
                         size_t y_stride, const float *bias) {
    size_t blocks = inputs / CAKED_BLOCK;
    for (size_t o = 0; o < outputs; o += PANEL_GROUP) {
        const uint8_t *w = (const uint8_t *)panel + o / PANEL_GROUP * blocks * PANEL_BYTES;
        panel_product m = {w, quantised, blocks, at_most(outputs - o, PANEL_GROUP), bias ? bias + o : NULL, false,
                           y + o, y_stride};
        panel_group(m, blocks, rows);
    }
}

// Re-tiles a piece of a group at a time, which stays in the cache while the rows pass over it.
static void int8_matmul(caked_type type, const void *w, size_t inputs, size_t first, size_t outputs,
                        const void *quantised, size_t rows, float *y, size_t y_stride, const float *bias) {
    size_t row_bytes = caked_bytes(type, inputs), blocks = inputs / CAKED_BLOCK;
    _Alignas(64) uint8_t piece[PANEL_PIECE * PANEL_BYTES];
    for (size_t o = first; o < first + outputs; o += PANEL_GROUP) {
        const uint8_t *from = (const uint8_t *)w + o * row_bytes;
        size_t group = at_most(first + outputs - o, PANEL_GROUP);
        const float *start = bias ? bias + o : NULL;
        if (blocks == 0) panel_group((panel_product){piece, quantised, 0, group, start, false, y + o, y_stride}, 0, rows);
        for (size_t b = 0; b < blocks; b += PANEL_PIECE) {
            size_t count = at_most(blocks - b, PANEL_PIECE);
            fill_piece(type, from, row_bytes, b, count, group, piece);
            panel_product m = {piece, (const uint8_t *)quantised + b * ROWS_BYTES, count, group, start, b > 0, y + o,
                               y_stride};
            panel_group(m, blocks, rows);
        }
    }
}

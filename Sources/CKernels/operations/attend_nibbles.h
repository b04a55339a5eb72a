// Attention of a few query rows over entries of q4 in products of integers, where it is so over those of q8_0.
//
// Keys are scaled by channel, and a group of them alike: a query takes the group's scales up once and becomes bytes, with
// a scale for each block of 32. That adds a tenth to the error of the stored nibbles at most. Weights are 16-bit integers,
// as over q8_0. A row's sums are the same alone, among others, and whatever stands behind what it sees.

#ifdef CAKED_PAIRS

// Bytes of a key that are transposed at once, and rows that are weighed at once: a block of values is as many sums as it
// has vectors.
enum { NIBBLE_PIECE = 32, NIBBLE_ROWS = LANES == 16 ? ROWS : ROWS / 2 };

// A query row times the scales of a group of keys, as bytes; `rest` is what does not depend on a key's nibbles.
typedef struct {
    uint8_t quants[PIECE];
    float scale[PIECE_BLOCKS];
    float rest;
} nibble_query;

typedef int16_t block_integers __attribute__((vector_size(2 * CAKED_BLOCK)));
typedef int8_t block_bytes __attribute__((vector_size(CAKED_BLOCK)));

INLINE void fold_query(const float *q, const uint8_t *group, size_t width, nibble_query *to) {
    lanes middle = v_set(0);
    float offset = 0;
    for (size_t b = 0; b < width / CAKED_BLOCK; b++) {
        lanes x[PART_LANES], largest = v_set(0);
        UNROLL for (int k = 0; k < PART_LANES; k++) {
            size_t i = b * CAKED_BLOCK + k * LANES;
            lanes query = v_load(q + i);
            middle = v_fma(query, v_load_half(group + 2 * (width + i)), middle);
            x[k] = query * v_load_half(group + 2 * i);
            largest = v_max(v_magnitude(x[k]), largest);
        }
        block_integers quants;
        float inverse = inverse_scale(largest, INT8_MAX, to->scale + b);
        UNROLL for (int k = 0; k < PART_LANES; k++) v_store_int16((int16_t *)&quants + k * LANES, x[k] * inverse);
        block_bytes bytes = __builtin_convertvector(quants, block_bytes);
        memcpy(to->quants + b * CAKED_BLOCK, &bytes, sizeof bytes);
        // Nibbles stand for -8 ... 7, and are multiplied as 0 ... 15.
        offset += -8 * to->scale[b] * (float)__builtin_reduce_add(quants);
    }
    to->rest = v_sum(middle) + offset;
}

// scores[r][BYTE_KEYS] of as many keys of a group, `stride` bytes apart.
INLINE void score_nibbles(const uint8_t *keys, size_t stride, size_t width, const nibble_query *q, const int rows,
                          float *scores) {
    lanes total[GROUP_VECTORS][ROWS];
    UNROLL for (int v = 0; v < GROUP_VECTORS; v++) {
        UNROLL for (int r = 0; r < rows; r++) total[v][r] = v_set(q[r].rest);
    }
    for (size_t from = 0; from < width / 2; from += NIBBLE_PIECE) {
        quad_bytes bytes[NIBBLE_PIECE / 4];
        transpose_group(keys + from, stride, bytes);
        UNROLL for (size_t half = 0; half < 2; half++) {
            size_t b = from / (CAKED_BLOCK / 2) + half;
            if (b == width / CAKED_BLOCK) break;
            UNROLL for (int v = 0; v < GROUP_VECTORS; v++) {
                dots run[ROWS];
                UNROLL for (int r = 0; r < rows; r++) run[r] = v_dot_begin((integers){0});
                UNROLL for (size_t k = 0; k < 4; k++) {
                    quads both = load_quads((const uint8_t *)(bytes + 4 * half + k) + v * 4 * LANES);
                    quads low = both & 15, high = both >> 4;
                    UNROLL for (int r = 0; r < rows; r++) {
                        const uint8_t *query = q[r].quants + b * CAKED_BLOCK + 4 * k;
                        run[r] = v_dot4(run[r], low, load32(query));
                        run[r] = v_dot4(run[r], high, load32(query + CAKED_BLOCK / 2));
                    }
                }
                UNROLL for (int r = 0; r < rows; r++) {
                    integers sum = v_dot_end((integers){0}, run[r]);
                    total[v][r] = v_fma(__builtin_convertvector(sum, lanes), v_set(q[r].scale[b]), total[v][r]);
                }
            }
        }
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++) v_store(scores + r * CAKED_ATTEND_TILE + v * LANES, total[v][r]);
    }
}

// out[rows, width] += the values of pairs of entries by their weights, for a block of their width.
INLINE void weigh_nibbles(const tile *values, size_t block, const byte_weights *weights, const float *shifts, size_t first,
                          const int rows, float *out) {
    const uint8_t *value = values->stored + block * CAKED_Q4_1_BYTES + 4;
    integers sums[NIBBLE_ROWS][PART_LANES];
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int k = 0; k < PART_LANES; k++) sums[r][k] = (integers){0};
    }
    for (size_t e = 0; e < values->count; e += 2, value += 2 * values->entry_bytes) {
        int16_pairs pairs[PART_LANES];
        // An entry without a partner is its own, with weight 0.
        v_pair_nibbles(value, value + (e + 1 < values->count ? values->entry_bytes : 0), pairs);
        UNROLL for (int r = 0; r < rows; r++) {
            uint32_t two = load32((const uint8_t *)(weights->of[first + (size_t)r][block] + e));
            UNROLL for (int k = 0; k < PART_LANES; k++) sums[r][k] = v_dot2(sums[r][k], pairs[k], two);
        }
    }
    UNROLL for (int r = 0; r < rows; r++) {
        lanes scale = v_set(weights->scale[first + (size_t)r]);
        lanes shift = v_set(shifts[(first + (size_t)r) * PIECE_BLOCKS + block]);
        float *to = out + (size_t)r * values->width + block * CAKED_BLOCK;
        UNROLL for (int k = 0; k < PART_LANES; k++) {
            lanes sum = v_fma(scale, __builtin_convertvector(sums[r][k], lanes), shift);
            v_store(to + k * LANES, v_load(to + k * LANES) + sum);
        }
    }
}

#define DEFINE_ROWS(rows)                                                                                                      \
    static void score_nibbles_##rows(const uint8_t *keys, size_t stride, size_t width, const nibble_query *q, float *to) {     \
        score_nibbles(keys, stride, width, q, rows, to);                                                                       \
    }
DEFINE_ROWS(1)
DEFINE_ROWS(2)
DEFINE_ROWS(3)
DEFINE_ROWS(4)
#undef DEFINE_ROWS

static void (*const score_nibbles_rows[ROWS])(const uint8_t *, size_t, size_t, const nibble_query *, float *) = {
    score_nibbles_1, score_nibbles_2, score_nibbles_3, score_nibbles_4};

#define DEFINE_ROWS(rows)                                                                                                      \
    static void weigh_nibbles_##rows(const tile *values, size_t block, const byte_weights *weights, const float *shifts,       \
                                     size_t first, float *out) {                                                               \
        weigh_nibbles(values, block, weights, shifts, first, rows, out);                                                       \
    }
DEFINE_ROWS(1)
DEFINE_ROWS(2)
#if LANES == 16
DEFINE_ROWS(3)
DEFINE_ROWS(4)
#endif
#undef DEFINE_ROWS

static void (*const weigh_nibbles_rows[NIBBLE_ROWS])(const tile *, size_t, const byte_weights *, const float *, size_t,
                                                      float *) = {
    weigh_nibbles_1,
    weigh_nibbles_2,
#if LANES == 16
    weigh_nibbles_3,
    weigh_nibbles_4,
#endif
};

// A group of `count` keys of the tile's, whose scores stand from `scores` on.
static void score_nibble_group(const uint8_t *group, size_t count, size_t width, const float *q, size_t rows,
                               float *scores) {
    nibble_query query[BYTE_ROWS];
    for (size_t r = 0; r < rows; r++) fold_query(q + r * width, group, width, query + r);
    const uint8_t *nibbles = group + channel_bytes(width);
    for (size_t e = 0; e < count; e += BYTE_KEYS) {
        const uint8_t *from = nibbles + e * (width / 2);
        size_t stride = width / 2, present = at_most(count - e, BYTE_KEYS);
        // Keys that are not there, and what is not there of the last piece of each, as zeros.
        uint8_t padded[BYTE_KEYS * PIECE / 2];
        if (present < BYTE_KEYS || stride % NIBBLE_PIECE != 0) {
            stride = (stride + NIBBLE_PIECE - 1) / NIBBLE_PIECE * NIBBLE_PIECE;
            memset(padded, 0, BYTE_KEYS * stride);
            for (size_t k = 0; k < present; k++) memcpy(padded + k * stride, from + k * (width / 2), width / 2);
            from = padded;
        }
        for (size_t r = 0; r < rows; r += ROWS) {
            score_nibbles_rows[at_most(rows - r, ROWS) - 1](from, stride, width, query + r,
                                                            scores + r * CAKED_ATTEND_TILE + e);
        }
    }
}

// What the shifts of a block's values come to by a row's weights: those of the first `shown`.
INLINE float weigh_shifts(const float *scores, size_t shown, const lanes *shifts) {
    lanes sum = v_set(0);
    UNROLL for (size_t k = 0; k < TILE_PARTS; k++) {
        lanes weight = v_load_first(scores + k * LANES, first_lanes(shown, k), 0);
        // What stands where no weight is may be no number.
        sum = v_fma(weight, (lanes)((bits)shifts[k] & (bits)(weight != 0)), sum);
    }
    return v_sum(sum);
}

static void weigh_nibble_tile(const tile *values, size_t next, const float *scores, size_t rows, const uint32_t *visible,
                              size_t before, float *out) {
    byte_weights weights;
    lanes scales[PIECE_BLOCKS][TILE_PARTS], shifts[PIECE_BLOCKS][TILE_PARTS];
    float shifted[BYTE_ROWS * PIECE_BLOCKS];
    size_t blocks = values->width / CAKED_BLOCK, bytes = values->entry_bytes;
    for (size_t b = 0; b < blocks; b++) {
        UNROLL for (size_t k = 0; k < TILE_PARTS; k++) {
            const uint8_t *value = values->stored + k * LANES * bytes + b * CAKED_Q4_1_BYTES;
            scales[b][k] = gather_scales(value, bytes, first_lanes(values->count, k));
            shifts[b][k] = gather_scales(value + 2, bytes, first_lanes(values->count, k));
        }
    }
    for (size_t r = 0; r < rows; r++) {
        prefetch_next(values, next, r, rows);
        size_t shown = seen(visible, r, before, values->count);
        const float *row = scores + r * CAKED_ATTEND_TILE;
        quantise_weights(row, shown, scales, blocks, weights.of[r], weights.scale + r);
        for (size_t b = 0; b < blocks; b++) shifted[r * PIECE_BLOCKS + b] = weigh_shifts(row, shown, shifts[b]);
    }
    for (size_t b = 0; b < blocks; b++) {
        for (size_t r = 0; r < rows; r += NIBBLE_ROWS) {
            weigh_nibbles_rows[at_most(rows - r, NIBBLE_ROWS) - 1](values, b, &weights, shifted, r,
                                                                   out + r * values->width);
        }
    }
}

// `rows` of at most BYTE_ROWS, the first of them row `first` of those that `scoring` speaks of.
static void attend_nibble_rows(const uint8_t *keys, const uint8_t *values, size_t count, size_t width, const float *q,
                               size_t first, size_t rows, const uint32_t *visible, const caked_scoring *scoring,
                               float *peak, float *sum, float *out, float *scratch) {
    const size_t bytes = caked_bytes(CAKED_Q4_1, width);
    for (size_t before = 0; before < count; before += CAKED_ATTEND_TILE) {
        size_t held = at_most(count - before, CAKED_ATTEND_TILE);
        for (size_t e = 0; e < held; e += CAKED_KEY_GROUP) {
            const uint8_t *group = keys + caked_key_bytes(CAKED_Q4, before + e, width);
            size_t next = at_most(before + e + CAKED_ATTEND_TILE, count), after = at_most(next + CAKED_KEY_GROUP, count);
            size_t from = caked_key_bytes(CAKED_Q4, next, width);
            prefetch_share((uintptr_t)keys + from, caked_key_bytes(CAKED_Q4, after, width) - from);
            score_nibble_group(group, at_most(held - e, CAKED_KEY_GROUP), width, q, rows, scratch + e);
        }
        tile v = {CAKED_Q4_1, values + before * bytes, bytes, held, width};
        rescore_tile(scoring, scratch, first, rows, before, held);
        softmax_tile(scratch, rows, visible, before, held, peak, sum, out, width);
        weigh_nibble_tile(&v, at_most(count - before - held, CAKED_ATTEND_TILE) * bytes, scratch, rows, visible, before, out);
    }
}

// As `attend`; false, and nothing is done, where entries are neither q8_0 nor q4, or too wide.
static bool attend_integers(caked_type type, const uint8_t *keys, const uint8_t *values, size_t count, size_t width,
                            const float *q, size_t rows, const uint32_t *visible, const caked_scoring *scoring, float *peak,
                            float *sum, float *out, float *scratch) {
    if ((type != CAKED_Q8_0 && type != CAKED_Q4) || width > PIECE || width % CAKED_BLOCK != 0) return false;
    for (size_t r = 0; r < rows; r += BYTE_ROWS) {
        (type == CAKED_Q8_0 ? attend_byte_rows : attend_nibble_rows)(
            keys, values, count, width, q + r * width, r, at_most(rows - r, BYTE_ROWS), visible ? visible + r : NULL,
            scoring, peak + r, sum + r, out + r * width, scratch);
    }
    return true;
}

#endif

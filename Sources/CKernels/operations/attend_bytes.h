// Attention of a few query rows over entries of q8_0 in products of integers: sixteen keys side by side need no sums
// across lanes, and no quant becomes a float.
//
// Queries and weights are 16-bit integers with a scale for each block of 32, so what this adds to the error of the
// stored bytes is a fortieth of it at most. A row's sums are the same alone, among others, and whatever stands behind
// what it sees.

#ifdef CAKED_PAIRS

// As many rows at once as there is room for on the stack.
enum { BYTE_ROWS = 16, PIECE_BLOCKS = PIECE / CAKED_BLOCK, TILE_PARTS = CAKED_ATTEND_TILE / LANES };
// Keys that are scored side by side, and channels of values that are weighed at once.
enum { BYTE_KEYS = PANEL_GROUP, BYTE_CHANNELS = 2 * LANES };

typedef uint16_t halves __attribute__((vector_size(2 * LANES)));

// The scales of a block of `count` entries, at most LANES of them, and zeros.
INLINE lanes gather_scales(const uint8_t *block, size_t entry_bytes, size_t count) {
    halves gathered = {0};
    if (count >= LANES) {
        UNROLL for (size_t e = 0; e < LANES; e++) gathered[e] = caked_load16(block + e * entry_bytes);
    } else {
        for (size_t e = 0; e < count; e++) memcpy((uint8_t *)&gathered + 2 * e, block + e * entry_bytes, 2);
    }
    return v_load_half((const uint8_t *)&gathered);
}

// What is multiplied to make `largest` the integer `limit`, and the scale to multiply by afterwards: 0 where nothing
// can be scaled.
INLINE float inverse_scale(lanes largest, float limit, float *scale) {
    float x = v_max_of(largest);
    bool scales = x >= 0x1p-100f && x <= 0x1p100f;
    *scale = scales ? x * (1 / limit) : 0;
    return scales ? limit / x : 0;
}

INLINE lanes v_magnitude(lanes x) { return (lanes)((bits)x & 0x7fffffff); }

#ifdef CAKED_DOTS_ANY_BYTES
// A query row's block: the upper and the lower bytes of its integers, and -128 times their sum.
typedef struct {
    uint8_t high[CAKED_BLOCK], low[CAKED_BLOCK];
    int32_t zero;
} query_block;

// The upper byte stays a signed one when the lower, signed as well, is taken off.
enum { QUERY_LIMIT = 127 * 256 };

INLINE void put_query(const int16_t *integers, query_block *to) {
    int32_t sum = 0;
    UNROLL for (int i = 0; i < CAKED_BLOCK; i++) {
        int32_t low = (int8_t)integers[i];
        to->low[i] = (uint8_t)low;
        to->high[i] = (uint8_t)((integers[i] - low) >> 8);
        sum += integers[i];
    }
    to->zero = -128 * sum;
}

// Sums of products of LANES keys' block, whose quants k are 4 * PANEL_GROUP bytes apart, with rows.
INLINE void dot_keys(const uint8_t *quants, const query_block *const *q, const int rows, integers *sum) {
    integers low[ROWS], high[ROWS];
    UNROLL for (int r = 0; r < rows; r++) high[r] = (integers){0}, low[r] = (integers){0} + q[r]->zero;
    UNROLL for (int k = 0; k < CAKED_BLOCK / 4; k++) {
        quads four = load_quads(quants + k * 4 * PANEL_GROUP) ^ 128;
        UNROLL for (int r = 0; r < rows; r++) {
            high[r] = v_dot4(high[r], four, load32(q[r]->high + 4 * k));
            low[r] = v_dot4(low[r], four, load32(q[r]->low + 4 * k));
        }
    }
    UNROLL for (int r = 0; r < rows; r++) sum[r] = (high[r] << 8) + low[r];
}
#else
// A query row's block: of each four integers the first and third, and the second and fourth.
typedef struct {
    int16_t pairs[CAKED_BLOCK];
} query_block;

enum { QUERY_LIMIT = INT16_MAX };

INLINE void put_query(const int16_t *integers, query_block *to) {
    UNROLL for (int i = 0; i < CAKED_BLOCK; i += 4) {
        to->pairs[i] = integers[i], to->pairs[i + 1] = integers[i + 2];
        to->pairs[i + 2] = integers[i + 1], to->pairs[i + 3] = integers[i + 3];
    }
}

// Sums of products of LANES keys' block, whose quants k are 4 * PANEL_GROUP bytes apart, with rows: at most 32 * 128 *
// 32,767.
INLINE void dot_keys(const uint8_t *quants, const query_block *const *q, const int rows, integers *sum) {
    UNROLL for (int r = 0; r < rows; r++) sum[r] = (integers){0};
    UNROLL for (int k = 0; k < CAKED_BLOCK / 4; k++) {
        int16_pairs four = (int16_pairs)load_quads(quants + k * 4 * PANEL_GROUP);
        int16_pairs odd = four >> 8, even = four << 8 >> 8;
        UNROLL for (int r = 0; r < rows; r++) {
            sum[r] = v_dot2(sum[r], even, load32((const uint8_t *)(q[r]->pairs + 4 * k)));
            sum[r] = v_dot2(sum[r], odd, load32((const uint8_t *)(q[r]->pairs + 4 * k + 2)));
            CAKED_IN_ORDER(sum[r]);
        }
    }
}
#endif

// A query row.
typedef struct {
    query_block block[PIECE_BLOCKS];
    float scale[PIECE_BLOCKS];
} byte_query;

INLINE void split_query(const float *q, size_t width, byte_query *row) {
    for (size_t b = 0; b < width / CAKED_BLOCK; b++, q += CAKED_BLOCK) {
        int16_t integers[CAKED_BLOCK];
        lanes x[PART_LANES], largest = v_set(0);
        UNROLL for (int k = 0; k < PART_LANES; k++) {
            x[k] = v_load(q + k * LANES);
            largest = v_max(v_magnitude(x[k]), largest);
        }
        float inverse = inverse_scale(largest, QUERY_LIMIT, row->scale + b);
        UNROLL for (int k = 0; k < PART_LANES; k++) v_store_int16(integers + k * LANES, x[k] * inverse);
        put_query(integers, row->block + b);
    }
}

// scores[r][BYTE_KEYS] of as many keys.
INLINE void score_bytes(const uint8_t *keys, size_t entry_bytes, size_t width, const byte_query *q, const int rows,
                        float *scores) {
    lanes total[GROUP_VECTORS][ROWS];
    UNROLL for (int v = 0; v < GROUP_VECTORS; v++) {
        UNROLL for (int r = 0; r < rows; r++) total[v][r] = v_set(0);
    }
    for (size_t b = 0; b < width / CAKED_BLOCK; b++, keys += CAKED_Q8_0_BYTES) {
        quad_bytes quants[CAKED_BLOCK / 4];
        const query_block *query[ROWS];
        transpose_group(keys + 2, entry_bytes, quants);
        UNROLL for (int r = 0; r < rows; r++) query[r] = q[r].block + b;
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++) {
            integers sum[ROWS];
            dot_keys((const uint8_t *)quants + v * 4 * LANES, query, rows, sum);
            lanes scale = gather_scales(keys + v * LANES * entry_bytes, entry_bytes, LANES);
            UNROLL for (int r = 0; r < rows; r++) {
                lanes both = scale * v_set(q[r].scale[b]);
                total[v][r] = v_fma(__builtin_convertvector(sum[r], lanes), both, total[v][r]);
            }
        }
    }
    UNROLL for (int r = 0; r < rows; r++) {
        UNROLL for (int v = 0; v < GROUP_VECTORS; v++) v_store(scores + r * CAKED_ATTEND_TILE + v * LANES, total[v][r]);
    }
}

// A tile's weights, each times its entry's scale of a block, as integers; 0 for what a row does not see.
typedef struct {
    int16_t of[BYTE_ROWS][PIECE_BLOCKS][CAKED_ATTEND_TILE];
    float scale[BYTE_ROWS];
} byte_weights;

// out[rows, width] += the values of pairs of entries by their weights, for BYTE_CHANNELS of their width.
INLINE void weigh_bytes(const tile *values, size_t part, const byte_weights *weights, size_t first, const int rows,
                        float *out) {
    const size_t channel = part * BYTE_CHANNELS, block = channel / CAKED_BLOCK;
    const uint8_t *value = values->stored + block * CAKED_Q8_0_BYTES + 2 + channel % CAKED_BLOCK;
    integers sums[ROWS][2];
    UNROLL for (int r = 0; r < rows; r++) sums[r][0] = sums[r][1] = (integers){0};
    for (size_t e = 0; e < values->count; e += 2, value += 2 * values->entry_bytes) {
        int16_pairs pairs[2];
        // An entry without a partner is its own, with weight 0.
        v_pair_bytes(value, value + (e + 1 < values->count ? values->entry_bytes : 0), pairs);
        UNROLL for (int r = 0; r < rows; r++) {
            uint32_t two = load32((const uint8_t *)(weights->of[first + (size_t)r][block] + e));
            sums[r][0] = v_dot2(sums[r][0], pairs[0], two);
            sums[r][1] = v_dot2(sums[r][1], pairs[1], two);
        }
    }
    UNROLL for (int r = 0; r < rows; r++) {
        lanes scale = v_set(weights->scale[first + (size_t)r]);
        float *to = out + (size_t)r * values->width + channel;
        v_order_pairs(sums[r]);
        UNROLL for (int k = 0; k < 2; k++) {
            v_store(to + k * LANES, v_fma(scale, __builtin_convertvector(sums[r][k], lanes), v_load(to + k * LANES)));
        }
    }
}

#define DEFINE_ROWS(rows)                                                                                                      \
    static void score_bytes_##rows(const uint8_t *keys, size_t entry_bytes, size_t width, const byte_query *q, float *to) {    \
        score_bytes(keys, entry_bytes, width, q, rows, to);                                                                    \
    }                                                                                                                          \
    static void weigh_bytes_##rows(const tile *values, size_t part, const byte_weights *weights, size_t first, float *out) {   \
        weigh_bytes(values, part, weights, first, rows, out);                                                                  \
    }
DEFINE_ROWS(1)
DEFINE_ROWS(2)
DEFINE_ROWS(3)
DEFINE_ROWS(4)
#undef DEFINE_ROWS

static void (*const score_bytes_rows[ROWS])(const uint8_t *, size_t, size_t, const byte_query *, float *) = {
    score_bytes_1, score_bytes_2, score_bytes_3, score_bytes_4};
static void (*const weigh_bytes_rows[ROWS])(const tile *, size_t, const byte_weights *, size_t, float *) = {
    weigh_bytes_1, weigh_bytes_2, weigh_bytes_3, weigh_bytes_4};

// One share of the `next` bytes behind a tile, which are fetched while the tile is computed.
INLINE void prefetch_next(const tile *entries, size_t next, size_t share, size_t shares) {
    size_t bytes = (entries->count * entries->entry_bytes + shares - 1) / shares;
    size_t from = at_most(share * bytes, next);
    prefetch_share((uintptr_t)entries->stored + entries->count * entries->entry_bytes + from, at_most(bytes, next - from));
}

static void score_byte_tile(const tile *keys, size_t next, const byte_query *q, size_t rows, float *scores) {
    for (size_t e = 0; e < keys->count; e += BYTE_KEYS) {
        const uint8_t *from = keys->stored + e * keys->entry_bytes;
        prefetch_next(keys, next, e / BYTE_KEYS, CAKED_ATTEND_TILE / BYTE_KEYS);
        uint8_t padded[BYTE_KEYS * PIECE_BLOCKS * CAKED_Q8_0_BYTES];  // the last keys, with zeros for those not there
        if (keys->count - e < BYTE_KEYS) {
            size_t bytes = (keys->count - e) * keys->entry_bytes;
            memcpy(padded, from, bytes);
            memset(padded + bytes, 0, BYTE_KEYS * keys->entry_bytes - bytes);
            from = padded;
        }
        for (size_t r = 0; r < rows; r += ROWS) {
            score_bytes_rows[at_most(rows - r, ROWS) - 1](from, keys->entry_bytes, keys->width, q + r,
                                                          scores + r * CAKED_ATTEND_TILE + e);
        }
    }
}

// How many of the k-th LANES of a tile are among its first `count`.
INLINE size_t first_lanes(size_t count, size_t k) { return count <= k * LANES ? 0 : at_most(count - k * LANES, LANES); }

// One row's weights: `scales` are those of the values, block by block.
INLINE void quantise_weights(const float *scores, size_t shown, const lanes (*scales)[TILE_PARTS], size_t blocks,
                             int16_t (*to)[CAKED_ATTEND_TILE], float *scale) {
    lanes weights[TILE_PARTS], products[PIECE_BLOCKS][TILE_PARTS], largest = v_set(0);
    UNROLL for (size_t k = 0; k < TILE_PARTS; k++) {
        weights[k] = v_load_first(scores + k * LANES, first_lanes(shown, k), 0);
    }
    for (size_t b = 0; b < blocks; b++) {
        UNROLL for (size_t k = 0; k < TILE_PARTS; k++) {
            lanes product = weights[k] * scales[b][k];
            largest = v_max(v_magnitude(product), largest);
            products[b][k] = product;
        }
    }
    float inverse = inverse_scale(largest, INT16_MAX, scale);
    for (size_t b = 0; b < blocks; b++) {
        UNROLL for (size_t k = 0; k < TILE_PARTS; k++) v_store_int16(to[b] + k * LANES, products[b][k] * inverse);
    }
}

static void weigh_byte_tile(const tile *values, size_t next, const float *scores, size_t rows, const uint32_t *visible,
                            size_t before, float *out) {
    byte_weights weights;
    lanes scales[PIECE_BLOCKS][TILE_PARTS];
    size_t blocks = values->width / CAKED_BLOCK, bytes = values->entry_bytes;
    for (size_t b = 0; b < blocks; b++) {
        UNROLL for (size_t k = 0; k < TILE_PARTS; k++) {
            const uint8_t *value = values->stored + k * LANES * bytes + b * CAKED_Q8_0_BYTES;
            scales[b][k] = gather_scales(value, bytes, first_lanes(values->count, k));
        }
    }
    for (size_t r = 0; r < rows; r++) {
        prefetch_next(values, next, r, rows);
        size_t shown = seen(visible, r, before, values->count);
        quantise_weights(scores + r * CAKED_ATTEND_TILE, shown, scales, blocks, weights.of[r], weights.scale + r);
    }
    for (size_t part = 0; part < values->width / BYTE_CHANNELS; part++) {
        for (size_t r = 0; r < rows; r += ROWS) {
            weigh_bytes_rows[at_most(rows - r, ROWS) - 1](values, part, &weights, r, out + r * values->width);
        }
    }
}

// `rows` of at most BYTE_ROWS, the first of them row `first` of those that `scoring` speaks of.
static void attend_byte_rows(const uint8_t *keys, const uint8_t *values, size_t count, size_t width, const float *q,
                             size_t first, size_t rows, const uint32_t *visible, const caked_scoring *scoring, float *peak,
                             float *sum, float *out, float *scratch) {
    const size_t bytes = caked_bytes(CAKED_Q8_0, width);
    byte_query query[BYTE_ROWS];
    for (size_t r = 0; r < rows; r++) split_query(q + r * width, width, query + r);
    for (size_t before = 0; before < count; before += CAKED_ATTEND_TILE) {
        size_t held = at_most(count - before, CAKED_ATTEND_TILE);
        tile k = {CAKED_Q8_0, keys + before * bytes, bytes, held, width};
        tile v = {CAKED_Q8_0, values + before * bytes, bytes, held, width};
        size_t next = at_most(count - before - held, CAKED_ATTEND_TILE) * bytes;
        score_byte_tile(&k, next, query, rows, scratch);
        rescore_tile(scoring, scratch, first, rows, before, held);
        softmax_tile(scratch, rows, visible, before, held, peak, sum, out, width);
        weigh_byte_tile(&v, next, scratch, rows, visible, before, out);
    }
}

#endif

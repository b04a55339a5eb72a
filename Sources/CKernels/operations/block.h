// Blockwise attention of many query rows: a tile of keys at a time under a running softmax (Dao et al., arXiv
// 2205.14135).
//
// Rows lie in lanes and keys in registers: a unit is up to UNIT positions of one query head, scores are [key,
// position], so that the softmax needs no sum across lanes and stored keys need no transposing. Queries are transposed
// once, values once per tile. Everything is made of words: a float each, or two bfloats that are multiplied and added
// in one instruction; with those, scores are in units of ln 2, and weights are powers of two.

enum {
    UNIT = CAKED_BLOCK_UNIT,
    TILE_KEYS = CAKED_BLOCK_KEYS,
    UNIT_VECTORS = 3,  // vectors of positions that are multiplied together
};

// What scores are multiplied with: those of bfloats are in units of ln 2.
INLINE float score_scale(bool bfloat) { return bfloat ? 0x1.715476p0f : 1; }

// Below every score: a finite start, so that differences of peaks are no NaN.
#define NO_PEAK (-1e30f)

INLINE size_t round_up(size_t x, size_t to) { return (x + to - 1) / to * to; }

// The words that `width` elements take, and the stride at which rows of them are kept.
INLINE size_t words_of(bool bfloat, size_t width) { return bfloat ? (width + 1) / 2 : width; }
INLINE size_t padded(size_t words) { return round_up(words, 16); }

INLINE lanes dot_words(bool bfloat, lanes sum, lanes a, lanes b) {
    return bfloat ? v_dot_bfloat(sum, a, b) : v_fma(a, b, sum);
}

// 2^x for x at most 0 within 5e-6: the exponent is the nearest integer, the rest a polynomial. 0 from
// -127 down, where the exponent's bits are none and the polynomial is 1.
INLINE lanes v_exp2(lanes x) {
    const lanes magic = v_set(0x1.8p23f);
    x = v_max(v_set(-127), x);
    lanes shifted = x + magic;
    lanes r = x - (shifted - magic);
    lanes p = v_set(9.6181291e-3f);
    p = v_fma(p, r, v_set(5.5504109e-2f));
    p = v_fma(p, r, v_set(2.4022651e-1f));
    p = v_fma(p, r, v_set(6.9314718e-1f));
    p = v_fma(p, r, v_set(1));
    return (lanes)((bits)p + ((bits)shifted << 23));
}

INLINE lanes v_weight(bool bfloat, lanes difference) { return bfloat ? v_exp2(difference) : v_exp(difference); }

// to[w, i] of words from[i, w] (strides), i < count rows; what is beyond the rows or `words` is 0 up to whole squares.
INLINE void transpose_words(const float *from, size_t from_stride, size_t count, size_t words, float *to,
                            size_t to_stride) {
    for (size_t i = 0; i < count; i += LANES) {
        for (size_t w = 0; w < words; w += LANES) {
            lanes square[LANES];
            size_t n = words - w < LANES ? words - w : LANES;
            for (size_t k = 0; k < LANES; k++) {
                const float *row = from + (i + k) * from_stride + w;
                square[k] = i + k >= count ? v_set(0) : n == LANES ? v_load(row) : v_load_first(row, n, 0);
            }
            v_transpose(square);
            for (size_t k = 0; k < LANES; k++) v_store(to + (w + k) * to_stride + i, square[k]);
        }
    }
}

static void block_pack(caked_precision precision, const float *rows, size_t stride, size_t count, size_t width,
                       float *packed) {
    const bool bfloat = precision == CAKED_BFLOAT;
    const size_t words = words_of(bfloat, width);
    for (size_t first = 0; first < count; first += LANES) {
        size_t n = count - first < LANES ? count - first : LANES;
        if (!bfloat) {
            transpose_words(rows + first * stride, stride, n, words, packed + first, UNIT);
            continue;
        }
        // A piece of the words at a time: scaled, rounded, transposed.
        for (size_t w = 0; w < words; w += LANES) {
            float floats[2 * LANES], square[LANES * LANES];
            size_t piece = words - w < LANES ? words - w : LANES;
            for (size_t i = 0; i < n; i++) {
                for (size_t k = 0; k < 2 * piece; k++) {
                    size_t element = 2 * w + k;
                    floats[k] = element < width ? rows[(first + i) * stride + element] * score_scale(true) : 0;
                }
                bfloat_words(floats, piece, square + i * LANES);
            }
            transpose_words(square, LANES, n, piece, packed + w * UNIT + first, UNIT);
        }
    }
}

// sums[side][vectors] += sum over w of a[s, w] * b[w, v]: each word of a is spread over lanes.
INLINE void multiply_words(bool bfloat, const int vectors, const float *a, size_t a_stride, const float *b,
                           size_t words, lanes (*sums)[UNIT_VECTORS]) {
    for (size_t w = 0; w < words; w++) {
        lanes x[UNIT_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) x[v] = v_load(b + w * UNIT + v * LANES);
        UNROLL for (int s = 0; s < SIDE; s++) {
            lanes y = v_set(a[s * a_stride + w]);
            UNROLL for (int v = 0; v < vectors; v++) sums[s][v] = dot_words(bfloat, sums[s][v], y, x[v]);
        }
    }
}

// The stored rows `count` of a tile as floats, [count, padded(width)].
INLINE void tile_floats(caked_type type, const uint8_t *stored, size_t count, size_t width, float *rows) {
    size_t stride = padded(width), row_bytes = caked_bytes(type, width);
    if (stride == width) {
        dequantise(type, stored, rows, count * width);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        dequantise(type, stored + i * row_bytes, rows + i * stride, width);
        for (size_t k = width; k < stride; k++) rows[i * stride + k] = 0;
    }
}

// The stored keys `count` of a tile likewise.
INLINE void tile_key_floats(caked_type type, const uint8_t *stored, size_t count, size_t width, float *rows) {
    if (type != CAKED_Q4) tile_floats(type, stored, count, width, rows);
    else dequantise_channels(stored, count, width, rows, padded(width));
}

// Keys as rows of words [TILE_KEYS, padded(words)]; zeros behind them up to a whole SIDE.
INLINE void tile_keys(bool bfloat, caked_type type, const uint8_t *stored, size_t count, size_t width, float *rows,
                      float *keys) {
    size_t stride = padded(words_of(bfloat, width)), end = round_up(count, SIDE);
    if (bfloat) {
        tile_key_floats(type, stored, count, width, rows);
        for (size_t i = 0; i < count; i++) {
            bfloat_words(rows + i * padded(width), words_of(true, width), keys + i * stride);
        }
    } else {
        tile_key_floats(type, stored, count, width, keys);
    }
    memset(keys + count * stride, 0, (end - count) * stride * sizeof *keys);
}

// Values as words over keys, [padded(width), TILE_KEYS]; what lies behind the tile's keys counts as 0.
INLINE void tile_values(bool bfloat, caked_type type, const uint8_t *stored, size_t count, size_t width, float *rows,
                        float *values) {
    const size_t stride = padded(width), words = words_of(bfloat, count);
    tile_floats(type, stored, count, width, rows);
    memset(rows + count * stride, 0, (round_up(count, 2 * LANES) - count) * stride * sizeof *rows);
    for (size_t w = 0; w < words; w += LANES) {
        for (size_t i = 0; i < stride; i += LANES) {
            lanes square[LANES];
            for (size_t k = 0; k < LANES; k++) {
                const float *row = rows + (bfloat ? 2 : 1) * (w + k) * stride + i;
                square[k] = bfloat ? v_pair(v_load(row), v_load(row + stride)) : v_load(row);
            }
            v_transpose(square);
            for (size_t k = 0; k < LANES; k++) v_store(values + (i + k) * TILE_KEYS + w, square[k]);
        }
    }
}

// A tile of keys made ready, and room for the scores of one unit.
typedef struct {
    size_t width, count;
    float *keys, *values, *scores;
} block_tile;

// What one unit carries from tile to tile: peak[UNIT], sum[UNIT], out[padded(width), UNIT].
enum { STATE_SUMS = UNIT, STATE_OUT = 2 * UNIT };

INLINE lanes v_select(lanes limit, float key, lanes score) {
    bits shown = (bits)(limit > v_set(key));
    return (lanes)((shown & (bits)score) | (~shown & (bits)v_set(-INFINITY)));
}

// Which keys a unit's positions see and what becomes of their scores; NULL: all, and nothing.
typedef struct {
    const float *limits;          // position i sees the first limits[i] keys alone
    const unit_scoring *scoring;  // and this happens to their scores
    size_t first;                 // the first position's place in the unit
} unit_rules;

INLINE lanes rescore(const unit_scoring *scoring, size_t position, size_t key, lanes score) {
    if (scoring->cap > 0) score = v_soft_cap(score, scoring->cap);
    return v_select(v_load(scoring->rows + position), scoring->keys[key], score);
}

// Scores of `keys` keys (a whole SIDE) and their peak.
INLINE void unit_scores(bool bfloat, const int vectors, const block_tile *tile, size_t keys, const float *query,
                        const unit_rules *rules, lanes *top) {
    const size_t words = words_of(bfloat, tile->width), stride = padded(words);
    const float *limits = rules->limits;
    const unit_scoring *scoring = rules->scoring;
    for (size_t key = 0; key < keys; key += SIDE) {
        lanes sums[SIDE][UNIT_VECTORS];
        UNROLL for (int s = 0; s < SIDE; s++) {
            UNROLL for (int v = 0; v < vectors; v++) sums[s][v] = v_set(0);
        }
        multiply_words(bfloat, vectors, tile->keys + key * stride, stride, query, words, sums);
        float *scores = tile->scores + key * UNIT;
        UNROLL for (int s = 0; s < SIDE; s++) {
            UNROLL for (int v = 0; v < vectors; v++) {
                lanes score = sums[s][v];
                size_t position = rules->first + v * LANES;
                if (scoring) score = rescore(scoring, position, key + s, score);
                if (limits) score = v_select(v_load(limits + position), (float)(key + s), score);
                v_store(scores + s * UNIT + v * LANES, score);
                top[v] = v_max(score, top[v]);
            }
        }
    }
}

// Turns scores into weights, as words over keys, and returns their sum; an odd last key gets a partner without weight.
INLINE lanes unit_weights(bool bfloat, float *scores, size_t keys, lanes top) {
    lanes sum = v_set(0), other = v_set(0);
    for (size_t key = 0; key < keys; key += 2) {
        lanes a = v_weight(bfloat, v_load(scores + key * UNIT) - top);
        lanes b = v_weight(bfloat, v_load(scores + (key + 1) * UNIT) - top);
        sum += a, other += b;
        if (bfloat) {
            v_store(scores + key / 2 * UNIT, v_pair(a, b));
        } else {
            v_store(scores + key * UNIT, a), v_store(scores + (key + 1) * UNIT, b);
        }
    }
    return sum + other;
}

// One unit over one tile, of which its positions see `keys` keys at most.
INLINE void unit_attend(bool bfloat, const int vectors, const block_tile *tile, size_t keys, const float *query,
                        const unit_rules *rules, bool gathers, float *state) {
    lanes top[UNIT_VECTORS], correction[UNIT_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) top[v] = v_load(state + v * LANES);
    const size_t end = round_up(keys, SIDE);
    unit_scores(bfloat, vectors, tile, end, query, rules, top);
    UNROLL for (int v = 0; v < vectors; v++) {
        float *peak = state + v * LANES, *sum = peak + STATE_SUMS;
        correction[v] = v_weight(bfloat, v_load(peak) - top[v]);
        lanes added = unit_weights(bfloat, tile->scores + v * LANES, end, top[v]);
        v_store(sum, v_fma(v_load(sum), correction[v], added));
        v_store(peak, top[v]);
    }
    if (!gathers) return;
    const size_t words = words_of(bfloat, end);
    for (size_t i = 0; i < tile->width; i += SIDE) {
        float *out = state + STATE_OUT + i * UNIT;
        lanes sums[SIDE][UNIT_VECTORS];
        UNROLL for (int s = 0; s < SIDE; s++) {
            UNROLL for (int v = 0; v < vectors; v++) {
                sums[s][v] = v_load(out + s * UNIT + v * LANES) * correction[v];
            }
        }
        multiply_words(bfloat, vectors, tile->values + i * TILE_KEYS, TILE_KEYS, tile->scores, words, sums);
        UNROLL for (int s = 0; s < SIDE; s++) {
            UNROLL for (int v = 0; v < vectors; v++) v_store(out + s * UNIT + v * LANES, sums[s][v]);
        }
    }
}

#define DEFINE_UNIT(vectors)                                                                                            \
    static void unit_float_##vectors(const block_tile *tile, size_t keys, const float *query, const unit_rules *rules,  \
                                     bool gathers, float *state) {                                                      \
        unit_attend(false, vectors, tile, keys, query, rules, gathers, state);                                          \
    }                                                                                                                   \
    static void unit_bfloat_##vectors(const block_tile *tile, size_t keys, const float *query, const unit_rules *rules, \
                                      bool gathers, float *state) {                                                     \
        unit_attend(true, vectors, tile, keys, query, rules, gathers, state);                                           \
    }
DEFINE_UNIT(1)
DEFINE_UNIT(2)
DEFINE_UNIT(3)
#undef DEFINE_UNIT

// Positions of a unit from `first` on, in pieces of as many vectors as are multiplied together.
INLINE void unit_pieces(bool bfloat, const block_tile *tile, size_t keys, size_t rows, const float *query,
                        unit_rules rules, bool gathers, float *state) {
    typedef void (*unit)(const block_tile *, size_t, const float *, const unit_rules *, bool, float *);
    static const unit functions[2][UNIT_VECTORS] = {{unit_float_1, unit_float_2, unit_float_3},
                                                    {unit_bfloat_1, unit_bfloat_2, unit_bfloat_3}};
    for (size_t i = 0; i < rows; i += UNIT_VECTORS * LANES) {
        size_t left = (rows - i + LANES - 1) / LANES, vectors = left < UNIT_VECTORS ? left : UNIT_VECTORS;
        rules.first = i;
        functions[bfloat][vectors - 1](tile, keys, query + i, &rules, gathers, state + i);
    }
}

// How many of a tile's `count` keys position i sees, when position 0 sees `first` (negative: none yet).
INLINE size_t shown(ptrdiff_t first, size_t i, size_t count) {
    ptrdiff_t seen = first + (ptrdiff_t)i;
    return seen <= 0 ? 0 : (size_t)seen < count ? (size_t)seen : count;
}

static void block_attend(caked_precision precision, const float *packed, size_t rows, size_t group, size_t width,
                         caked_type type, const void *keys, const void *values, size_t count, ptrdiff_t first_seen,
                         const caked_scoring *scoring, bool gathers, float *state, float *room) {
    const bool bfloat = precision == CAKED_BFLOAT;
    const caked_type value_type = caked_value_type(type);
    const size_t stride = padded(width);
    float *floats = room + 2 * TILE_KEYS * stride + TILE_KEYS * UNIT;
    block_tile tile = {width, 0, room, room + TILE_KEYS * stride, room + 2 * TILE_KEYS * stride};
    for (size_t before = 0; before < count; before += TILE_KEYS) {
        const ptrdiff_t first = first_seen - (ptrdiff_t)before;
        tile.count = count - before < TILE_KEYS ? count - before : TILE_KEYS;
        if (rows == 0 || shown(first, rows - 1, tile.count) == 0) return;
        tile_keys(bfloat, type, (const uint8_t *)keys + caked_key_bytes(type, before, width), tile.count, width, floats,
                  tile.keys);
        if (gathers) {
            tile_values(bfloat, value_type, (const uint8_t *)values + caked_bytes(value_type, before * width), tile.count,
                        width, floats, tile.values);
        }
        for (size_t start = 0; start < rows; start += UNIT) {
            size_t n = rows - start < UNIT ? rows - start : UNIT;
            size_t seen = shown(first, start + n - 1, tile.count);
            if (seen == 0) continue;
            unit_scoring rescored;
            if (scoring && !scoring_of_tile(scoring, score_scale(bfloat), before, tile.count, start, &rescored)) continue;
            float limits[UNIT];
            bool masked = shown(first, start, tile.count) < round_up(seen, SIDE);
            unit_rules rules = {masked ? limits : NULL, scoring ? &rescored : NULL, 0};
            for (size_t i = 0; masked && i < UNIT; i++) limits[i] = (float)shown(first, start + i, tile.count);
            for (size_t head = 0; head < group; head++) {
                size_t unit = start / UNIT * group + head;
                unit_pieces(bfloat, &tile, seen, n, packed + unit * UNIT * stride, rules, gathers,
                            state + unit * (STATE_OUT + stride * UNIT));
            }
        }
    }
}

static void block_begin(caked_precision precision, size_t rows, size_t group, size_t width, const float *sinks,
                        float *state) {
    const size_t unit = STATE_OUT + padded(width) * UNIT, units = (rows + UNIT - 1) / UNIT * group;
    for (size_t u = 0; u < units; u++, state += unit) {
        memset(state + STATE_OUT, 0, (unit - STATE_OUT) * sizeof *state);
        for (size_t i = 0; i < UNIT; i++) {
            state[i] = sinks ? sinks[u % group] * score_scale(precision == CAKED_BFLOAT) : NO_PEAK;
            state[STATE_SUMS + i] = sinks ? 1 : 0;
        }
    }
}

// Transposes a unit's output back into rows, divided by their sums. A row that has seen nothing stays 0.
INLINE void unit_finish(const float *state, size_t rows, size_t width, float *out, size_t stride) {
    for (size_t first = 0; first < rows; first += LANES) {
        size_t n = rows - first < LANES ? rows - first : LANES;
        lanes sum = v_load(state + STATE_SUMS + first), scale = v_set(1) / sum;
        bits some = (bits)(sum > v_set(0));
        scale = (lanes)((bits)scale & some);
        for (size_t w = 0; w < width; w += LANES) {
            lanes square[LANES];
            for (size_t k = 0; k < LANES; k++) square[k] = v_load(state + STATE_OUT + (w + k) * UNIT + first) * scale;
            v_transpose(square);
            for (size_t k = 0; k < n; k++) {
                float *to = out + (first + k) * stride + w;
                if (width - w < LANES) v_store_first(to, square[k], width - w);
                else v_store(to, square[k]);
            }
        }
    }
}

static void block_finish(caked_precision precision, const float *state, size_t rows, size_t group, size_t width,
                         float *out, size_t stride, float *log_sums, size_t log_sum_stride) {
    const size_t unit = STATE_OUT + padded(width) * UNIT;
    const float scale = precision == CAKED_BFLOAT ? 0x1.62e43p-1f : 1;
    for (size_t start = 0; start < rows; start += UNIT) {
        size_t n = rows - start < UNIT ? rows - start : UNIT;
        for (size_t head = 0; head < group; head++, state += unit) {
            if (out) unit_finish(state, n, width, out + start * stride + head * width, stride);
            if (!log_sums) continue;
            for (size_t i = 0; i < n; i++) {
                log_sums[head * log_sum_stride + start + i] = state[i] * scale + logf(state[STATE_SUMS + i]);
            }
        }
    }
}

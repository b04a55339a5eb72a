// Attention of a few query rows over stored entries, straight from their file format.
//
// Entries are taken four at a time and converted once for all rows, a piece of their width at a time.

enum { GROUP = 4 };

typedef struct {
    float element[GROUP][PIECE];
} entries;

// Elements from ..< from + count of `present` entries, zeros up to a whole number of lanes and for entries not there.
INLINE void convert(caked_type type, const uint8_t *stored, size_t entry_bytes, size_t from, size_t count,
                    size_t present, entries *group) {
    size_t padded = (count + LANES - 1) / LANES * LANES;
    for (size_t e = 0; e < GROUP; e++) {
        float *element = group->element[e];
        size_t converted = e < present ? count : 0;
        if (converted > 0) dequantise(type, stored + e * entry_bytes + caked_bytes(type, from), element, converted);
        for (size_t i = converted; i < padded; i++) element[i] = 0;
    }
}

// scores[GROUP] += the products of one query row with the four entries.
INLINE void score_group(const float *q, const entries *group, size_t count, float *scores) {
    lanes a = v_set(0), b = a, c = a, d = a;
    for (size_t i = 0; i < count; i += LANES) {
        lanes x = i + LANES <= count ? v_load(q + i) : v_load_first(q + i, count - i, 0);
        a = v_fma(x, v_load(group->element[0] + i), a);
        b = v_fma(x, v_load(group->element[1] + i), b);
        c = v_fma(x, v_load(group->element[2] + i), c);
        d = v_fma(x, v_load(group->element[3] + i), d);
    }
    float sums[GROUP];
    v_sum4(sums, a, b, c, d);
    for (int e = 0; e < GROUP; e++) scores[e] += sums[e];
}

// out[count] += the first `present` entries by their weights, one entry after another.
INLINE void weigh_group(float *out, const float *weights, const entries *group, size_t count, size_t present) {
    lanes weight[GROUP];  // read before the first store to `out`
    UNROLL for (size_t e = 0; e < GROUP; e++) weight[e] = v_set(e < present ? weights[e] : 0);
    size_t i = 0;
    if (present == GROUP) {
        for (; i + LANES <= count; i += LANES) {
            lanes sum = v_load(out + i);
            UNROLL for (size_t e = 0; e < GROUP; e++) sum = v_fma(weight[e], v_load(group->element[e] + i), sum);
            v_store(out + i, sum);
        }
    }
    for (; i < count; i += LANES) {
        size_t rest = count - i < LANES ? count - i : LANES;
        lanes sum = rest == LANES ? v_load(out + i) : v_load_first(out + i, rest, 0);
        for (size_t e = 0; e < present; e++) sum = v_fma(v_set(weights[e]), v_load(group->element[e] + i), sum);
        if (rest == LANES) v_store(out + i, sum);
        else v_store_first(out + i, sum, rest);
    }
}

// One tile, its entries in groups and their width in pieces.
static void score_tile(const tile *keys, const float *q, size_t rows, float *scores) {
    for (size_t i = 0; i < rows * CAKED_ATTEND_TILE; i++) scores[i] = 0;
    entries group;
    for (size_t e = 0; e < keys->count; e += GROUP) {
        size_t present = keys->count - e < GROUP ? keys->count - e : GROUP;
        for (size_t from = 0; from < keys->width; from += PIECE) {
            size_t count = keys->width - from < PIECE ? keys->width - from : PIECE;
            convert(keys->type, keys->stored + e * keys->entry_bytes, keys->entry_bytes, from, count, present, &group);
            for (size_t r = 0; r < rows; r++) {
                score_group(q + r * keys->width + from, &group, count, scores + r * CAKED_ATTEND_TILE + e);
            }
        }
    }
}

static void weigh_tile(const tile *values, const float *weights, size_t rows, const uint32_t *visible, size_t before,
                       float *out) {
    entries group;
    for (size_t e = 0; e < values->count; e += GROUP) {
        size_t present = values->count - e < GROUP ? values->count - e : GROUP;
        for (size_t from = 0; from < values->width; from += PIECE) {
            size_t count = values->width - from < PIECE ? values->width - from : PIECE;
            convert(values->type, values->stored + e * values->entry_bytes, values->entry_bytes, from, count, present,
                    &group);
            for (size_t r = 0; r < rows; r++) {
                size_t shown = seen(visible, r, before + e, present);
                if (shown == 0) continue;
                weigh_group(out + r * values->width + from, weights + r * CAKED_ATTEND_TILE + e, &group, count, shown);
            }
        }
    }
}

// Halves, whose conversion is one instruction, are used straight from where they lie, by up to ROWS rows at a time,
// when each row sees the whole tile: the same sums in the same order as above.
INLINE void score_halves(const tile *keys, const float *q, const int rows, float *scores) {
    size_t e = 0;
    for (; e + GROUP <= keys->count; e += GROUP) {
        const uint8_t *key = keys->stored + e * keys->entry_bytes;
        lanes sums[ROWS][GROUP];
        UNROLL for (int r = 0; r < rows; r++) {
            UNROLL for (int k = 0; k < GROUP; k++) sums[r][k] = v_set(0);
        }
        for (size_t i = 0; i < keys->width; i += LANES) {
            lanes x[GROUP];
            UNROLL for (int k = 0; k < GROUP; k++) x[k] = v_load_half(key + k * keys->entry_bytes + 2 * i);
            UNROLL for (int r = 0; r < rows; r++) {
                lanes y = v_load(q + r * keys->width + i);
                UNROLL for (int k = 0; k < GROUP; k++) sums[r][k] = v_fma(y, x[k], sums[r][k]);
            }
        }
        UNROLL for (int r = 0; r < rows; r++) {
            v_sum4(scores + r * CAKED_ATTEND_TILE + e, sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
        }
    }
}

INLINE void weigh_halves(const tile *values, const float *weights, const int rows, float *out) {
    for (size_t i = 0; i < values->width; i += LANES) {
        const uint8_t *value = values->stored + 2 * i;
        lanes sums[ROWS];
        UNROLL for (int r = 0; r < rows; r++) sums[r] = v_load(out + r * values->width + i);
        for (size_t e = 0; e < values->count; e++, value += values->entry_bytes) {
            lanes x = v_load_half(value);
            UNROLL for (int r = 0; r < rows; r++) sums[r] = v_fma(v_set(weights[r * CAKED_ATTEND_TILE + e]), x, sums[r]);
        }
        UNROLL for (int r = 0; r < rows; r++) v_store(out + r * values->width + i, sums[r]);
    }
}

// Keys by channel: the scales go into the queries and the centres into the scores, once for a group, so that an entry
// costs its nibbles alone. Sums are in the same order for any number of rows.
INLINE void score_channel_group(const uint8_t *group, size_t present, size_t width, size_t from, size_t count, const float *q,
                                const int rows, float *scores) {
    float folded[ROWS][PIECE];
    lanes centre[ROWS];
    UNROLL for (int r = 0; r < rows; r++) centre[r] = v_set(0);
    for (size_t i = 0; i < count; i += LANES) {
        lanes scale = v_load_half(group + 2 * (from + i)), middle = v_load_half(group + 2 * (width + from + i));
        UNROLL for (int r = 0; r < rows; r++) {
            lanes x = v_load(q + (size_t)r * width + from + i);
            centre[r] = v_fma(x, middle, centre[r]);
            v_store(folded[r] + i, x * scale);
        }
    }
    const uint8_t *nibbles = group + channel_bytes(width) + from / 2;
    for (size_t e = 0; e < present; e += GROUP) {
        const uint8_t *key[GROUP];  // those not there: the last one once more
        UNROLL for (size_t k = 0; k < GROUP; k++) key[k] = nibbles + (e + k < present ? e + k : present - 1) * (width / 2);
        lanes sums[ROWS][GROUP];
        UNROLL for (int r = 0; r < rows; r++) {
            UNROLL for (int k = 0; k < GROUP; k++) sums[r][k] = v_set(0);
        }
        for (size_t i = 0; i < count; i += CAKED_BLOCK) {
            UNROLL for (size_t j = 0; j < CAKED_BLOCK / 2; j += LANES) {
                UNROLL for (int k = 0; k < GROUP; k++) {
                    lanes low = v_load_low(key[k] + i / 2 + j), high = v_load_high(key[k] + i / 2 + j);
                    UNROLL for (int r = 0; r < rows; r++) {
                        sums[r][k] = v_fma(low, v_load(folded[r] + i + j), sums[r][k]);
                        sums[r][k] = v_fma(high, v_load(folded[r] + i + CAKED_BLOCK / 2 + j), sums[r][k]);
                    }
                }
            }
        }
        UNROLL for (int r = 0; r < rows; r++) {
            float products[GROUP], middle = v_sum(centre[r]);
            v_sum4(products, sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
            for (size_t k = 0; k < GROUP && e + k < present; k++) {
                scores[(size_t)r * CAKED_ATTEND_TILE + e + k] += products[k] + middle;
            }
        }
    }
}

INLINE void score_channels(const tile *keys, const float *q, const int rows, float *scores) {
    const uint8_t *group = keys->stored;
    for (int i = 0; i < rows * CAKED_ATTEND_TILE; i++) scores[i] = 0;
    for (size_t first = 0; first < keys->count; first += CAKED_KEY_GROUP) {
        size_t present = keys->count - first < CAKED_KEY_GROUP ? keys->count - first : CAKED_KEY_GROUP;
        for (size_t from = 0; from < keys->width; from += PIECE) {
            size_t count = keys->width - from < PIECE ? keys->width - from : PIECE;
            score_channel_group(group, present, keys->width, from, count, q, rows, scores + first);
        }
        group += channel_bytes(keys->width) + present * (keys->width / 2);
    }
}

// Quants of blocks are unpacked in registers, the same way: the same sums in the same order as above.
INLINE void score_q8_0(const tile *keys, const float *q, const int rows, float *scores) {
    for (size_t e = 0; e < keys->count; e += GROUP) {
        const uint8_t *key[GROUP];  // those not there: the last one once more
        UNROLL for (size_t k = 0; k < GROUP; k++) {
            key[k] = keys->stored + (e + k < keys->count ? e + k : keys->count - 1) * keys->entry_bytes;
        }
        lanes sums[ROWS][GROUP];
        UNROLL for (int r = 0; r < rows; r++) {
            UNROLL for (int k = 0; k < GROUP; k++) sums[r][k] = v_set(0);
        }
        for (size_t i = 0, block = 0; i < keys->width; i += CAKED_BLOCK, block += CAKED_Q8_0_BYTES) {
            lanes scale[GROUP];
            UNROLL for (int k = 0; k < GROUP; k++) scale[k] = v_set_half(key[k] + block);
            UNROLL for (size_t j = 0; j < CAKED_BLOCK; j += LANES) {
                lanes x[GROUP];
                UNROLL for (int k = 0; k < GROUP; k++) x[k] = scale[k] * v_load_int8(key[k] + block + 2 + j);
                UNROLL for (int r = 0; r < rows; r++) {
                    lanes y = v_load(q + (size_t)r * keys->width + i + j);
                    UNROLL for (int k = 0; k < GROUP; k++) sums[r][k] = v_fma(y, x[k], sums[r][k]);
                }
            }
        }
        UNROLL for (int r = 0; r < rows; r++) {
            float products[GROUP];
            v_sum4(products, sums[r][0], sums[r][1], sums[r][2], sums[r][3]);
            for (size_t k = 0; k < GROUP && e + k < keys->count; k++) scores[r * CAKED_ATTEND_TILE + e + k] = products[k];
        }
    }
}

INLINE void weigh_blocks(const caked_type type, const tile *values, const float *weights, const int rows, float *out) {
    for (size_t i = 0; i < values->width; i += CAKED_BLOCK) {
        const uint8_t *value = values->stored + caked_bytes(type, i);
        lanes sums[ROWS][PART_LANES];
        UNROLL for (int r = 0; r < rows; r++) {
            UNROLL for (int k = 0; k < PART_LANES; k++) sums[r][k] = v_load(out + (size_t)r * values->width + i + k * LANES);
        }
        for (size_t e = 0; e < values->count; e++, value += values->entry_bytes) {
            lanes x[PART_LANES];
            if (type == CAKED_Q8_0) {
                lanes scale = v_set_half(value);
                UNROLL for (int k = 0; k < PART_LANES; k++) x[k] = scale * v_load_int8(value + 2 + k * LANES);
            } else {
                lanes scale = v_set_half(value), shift = v_set_half(value + 2);
                UNROLL for (int k = 0; k < PART_LANES; k++) {
                    x[k] = v_fma(scale, v_from_integers(half_nibbles(value + 4, k) & 15), shift);
                }
            }
            UNROLL for (int r = 0; r < rows; r++) {
                lanes weight = v_set(weights[r * CAKED_ATTEND_TILE + e]);
                UNROLL for (int k = 0; k < PART_LANES; k++) sums[r][k] = v_fma(weight, x[k], sums[r][k]);
            }
        }
        UNROLL for (int r = 0; r < rows; r++) {
            UNROLL for (int k = 0; k < PART_LANES; k++) v_store(out + (size_t)r * values->width + i + k * LANES, sums[r][k]);
        }
    }
}

INLINE void weigh_q8_0(const tile *values, const float *weights, const int rows, float *out) {
    weigh_blocks(CAKED_Q8_0, values, weights, rows, out);
}

INLINE void weigh_q4_1(const tile *values, const float *weights, const int rows, float *out) {
    weigh_blocks(CAKED_Q4_1, values, weights, rows, out);
}

// One function for each number of rows that is worked on at once.
typedef void (*rows_function)(const tile *, const float *, float *);
#define DEFINE_ROWS(name)                                                                                 \
    static void name##_1(const tile *stored, const float *in, float *out) { name(stored, in, 1, out); }   \
    static void name##_2(const tile *stored, const float *in, float *out) { name(stored, in, 2, out); }   \
    static void name##_3(const tile *stored, const float *in, float *out) { name(stored, in, 3, out); }   \
    static void name##_4(const tile *stored, const float *in, float *out) { name(stored, in, 4, out); }   \
    static const rows_function name##_rows[ROWS] = {name##_1, name##_2, name##_3, name##_4};
DEFINE_ROWS(score_halves)
DEFINE_ROWS(score_q8_0)
DEFINE_ROWS(score_channels)
DEFINE_ROWS(weigh_halves)
DEFINE_ROWS(weigh_q8_0)
DEFINE_ROWS(weigh_q4_1)
#undef DEFINE_ROWS

INLINE bool has_halves(const tile *stored) {
    return stored->type == CAKED_F16 && stored->width % LANES == 0 && stored->width <= PIECE && stored->count % GROUP == 0;
}

static void score_rows(const tile *keys, const float *q, size_t rows, float *scores) {
    const rows_function *functions = keys->type == CAKED_Q4     ? score_channels_rows
                                     : keys->type == CAKED_Q8_0 ? score_q8_0_rows
                                     : has_halves(keys)         ? score_halves_rows
                                                                : NULL;
    if (!functions) {
        score_tile(keys, q, rows, scores);
        return;
    }
    for (size_t r = 0; r < rows; r += ROWS) {
        size_t n = rows - r < ROWS ? rows - r : ROWS;
        functions[n - 1](keys, q + r * keys->width, scores + r * CAKED_ATTEND_TILE);
    }
}

static void weigh_rows(const tile *values, const float *weights, size_t rows, const uint32_t *visible, size_t before,
                       float *out) {
    const rows_function *functions = values->type == CAKED_Q4_1   ? weigh_q4_1_rows
                                     : values->type == CAKED_Q8_0 ? weigh_q8_0_rows
                                     : has_halves(values)         ? weigh_halves_rows
                                                                  : NULL;
    bool all = functions != NULL;
    for (size_t r = 0; all && r < rows; r++) all = seen(visible, r, before, values->count) == values->count;
    if (!all) {
        weigh_tile(values, weights, rows, visible, before, out);
        return;
    }
    // Sums of a block are as many vectors as it has: as many rows as leave registers for them.
    size_t step = values->type == CAKED_F16 || LANES == 16 ? ROWS : ROWS / 2;
    for (size_t r = 0; r < rows; r += step) {
        size_t n = rows - r < step ? rows - r : step;
        functions[n - 1](values, weights + r * CAKED_ATTEND_TILE, out + r * values->width);
    }
}

static void attend(caked_type type, const void *keys, const void *values, size_t count, size_t width, const float *q,
                   size_t rows, const uint32_t *visible, const caked_scoring *scoring, float *peak, float *sum,
                   float *out, float *scratch) {
#ifdef CAKED_PAIRS
    if (attend_integers(type, keys, values, count, width, q, rows, visible, scoring, peak, sum, out, scratch)) return;
#endif
    const caked_type value_type = caked_value_type(type);
    size_t value_bytes = caked_bytes(value_type, width);
    if (value_bytes == 0) return;
    for (size_t before = 0; before < count; before += CAKED_ATTEND_TILE) {
        size_t held = count - before < CAKED_ATTEND_TILE ? count - before : CAKED_ATTEND_TILE;
        tile k = {type, (const uint8_t *)keys + caked_key_bytes(type, before, width), value_bytes, held, width};
        tile v = {value_type, (const uint8_t *)values + before * value_bytes, value_bytes, held, width};
        score_rows(&k, q, rows, scratch);
        rescore_tile(scoring, scratch, 0, rows, before, held);
        softmax_tile(scratch, rows, visible, before, held, peak, sum, out, width);
        weigh_rows(&v, scratch, rows, visible, before, out);
    }
}

static void attend_merge(float *peak, float *sum, float *out, const float *other_peak, const float *other_sum,
                         const float *other_out, size_t rows, size_t width) {
    for (size_t r = 0; r < rows; r++) {
        float top = peak[r] > other_peak[r] ? peak[r] : other_peak[r];
        if (top == -INFINITY) continue;
        float mine = one_exp(peak[r] - top), other = one_exp(other_peak[r] - top);
        for (size_t i = 0; i < width; i++) {
            out[r * width + i] = out[r * width + i] * mine + other_out[r * width + i] * other;
        }
        sum[r] = sum[r] * mine + other_sum[r] * other;
        peak[r] = top;
    }
}

// A row that has seen nothing stays 0.
static void attend_finish(const float *sum, float *out, size_t rows, size_t width) {
    for (size_t r = 0; r < rows; r++) {
        if (sum[r] > 0) scale_row(out + r * width, 1 / sum[r], width);
    }
}

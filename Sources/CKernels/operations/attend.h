// Attention of a few query rows over stored entries, straight from their file format.
//
// Entries are taken four at a time and converted once for all rows, a piece of their width at a time.

enum { GROUP = 4, PIECE = 256 };

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

// One tile of stored vectors, its entries in groups and their width in pieces.
typedef struct {
    caked_type type;
    const uint8_t *stored;
    size_t entry_bytes, count, width;
} tile;

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

// Halves, whose conversion is one instruction, are used straight from where they lie, by up to ROWS rows at a time, when each
// row sees the whole tile: the same sums in the same order as above.
enum { ROWS = 4 };

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

#define DEFINE_HALVES(rows)                                                                                           \
    static void score_halves_##rows(const tile *keys, const float *q, float *scores) { score_halves(keys, q, rows, scores); } \
    static void weigh_halves_##rows(const tile *values, const float *weights, float *out) {                           \
        weigh_halves(values, weights, rows, out);                                                                     \
    }
DEFINE_HALVES(1)
DEFINE_HALVES(2)
DEFINE_HALVES(3)
DEFINE_HALVES(4)
#undef DEFINE_HALVES

typedef void (*halves_function)(const tile *, const float *, float *);

INLINE bool has_halves(const tile *stored) {
    return stored->type == CAKED_F16 && stored->width % LANES == 0 && stored->width <= PIECE && stored->count % GROUP == 0;
}

static void score_rows(const tile *keys, const float *q, size_t rows, float *scores) {
    static const halves_function functions[ROWS] = {score_halves_1, score_halves_2, score_halves_3, score_halves_4};
    if (!has_halves(keys)) {
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
    static const halves_function functions[ROWS] = {weigh_halves_1, weigh_halves_2, weigh_halves_3, weigh_halves_4};
    bool all = has_halves(values);
    for (size_t r = 0; all && r < rows; r++) all = seen(visible, r, before, values->count) == values->count;
    if (!all) {
        weigh_tile(values, weights, rows, visible, before, out);
        return;
    }
    for (size_t r = 0; r < rows; r += ROWS) {
        size_t n = rows - r < ROWS ? rows - r : ROWS;
        functions[n - 1](values, weights + r * CAKED_ATTEND_TILE, out + r * values->width);
    }
}

static void attend(caked_type type, const void *keys, const void *values, size_t count, size_t width, const float *q,
                   size_t rows, const uint32_t *visible, float *peak, float *sum, float *out, float *scratch) {
    size_t entry_bytes = caked_bytes(type, width);
    if (entry_bytes == 0) return;
    for (size_t before = 0; before < count; before += CAKED_ATTEND_TILE) {
        size_t held = count - before < CAKED_ATTEND_TILE ? count - before : CAKED_ATTEND_TILE;
        tile k = {type, (const uint8_t *)keys + before * entry_bytes, entry_bytes, held, width};
        tile v = {type, (const uint8_t *)values + before * entry_bytes, entry_bytes, held, width};
        score_rows(&k, q, rows, scratch);
        for (size_t r = 0; r < rows; r++) {
            softmax_row(scratch + r * CAKED_ATTEND_TILE, seen(visible, r, before, held), peak + r, sum + r,
                        out + r * width, width);
        }
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

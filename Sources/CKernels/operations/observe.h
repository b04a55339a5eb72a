// CAKE's statistics of observed attention, and what evicting an entry would change: scores of a tile of keys become
// sums over rows as they are computed, unit by unit, and are written nowhere else.

// Below this share of other entries, the distance to an output that is nearly the entry's own value is rounding error.
#define OTHERS_FLOOR 1e-2f

// Keys after which sums of floats go over into doubles.
enum { ENTROPY_KEYS = 16 };

INLINE double sum_double(lanes v) {
    float elements[LANES];
    v_store(elements, v);
    double sum = 0;
    for (int i = 0; i < LANES; i++) sum += elements[i];
    return sum;
}

// What is gathered over all rows: per key sums of A and A^2, lane by lane, and the largest A, or square of a change.
typedef struct {
    float sums[TILE_KEYS][LANES], squares[TILE_KEYS][LANES];
    float largest[TILE_KEYS];
    double entropy;
} observed;

// The rows of one unit: with the scores' unit, ln 2 or 1; without `change` the others are unused.
typedef struct {
    float log_sums[UNIT], scales[UNIT], out_squares[UNIT], out_lengths[UNIT];
    const float *mapped;
} observing;

// The tile's values as floats [count, padded(width)], and their lengths.
typedef struct {
    const float *values, *squares;
    float lengths[TILE_KEYS];
    size_t width;
} judged;

// <v, M o> of LANES rows and one key.
INLINE lanes mapped_product(const float *mapped, const float *value, size_t width) {
    lanes sums[4] = {v_set(0), v_set(0), v_set(0), v_set(0)};
    size_t i = 0;
    for (; i + 4 <= width; i += 4) {
        UNROLL for (int k = 0; k < 4; k++) sums[k] = v_fma(v_load(mapped + (i + k) * UNIT), v_set(value[i + k]), sums[k]);
    }
    for (; i < width; i++) sums[0] = v_fma(v_load(mapped + i * UNIT), v_set(value[i]), sums[0]);
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

// Squares of the changes of LANES rows from `first` on; at most `best` without the product when the bound says so.
INLINE float change_square(lanes a, const observing *rows, size_t first, const judged *tile, size_t key, float best) {
    const lanes floor = v_set(OTHERS_FLOOR * OTHERS_FLOOR), value_square = v_set(tile->squares[key]);
    lanes factor = a * v_load(rows->scales + first), others = v_set(1) - a;
    lanes reach = v_load(rows->out_lengths + first) + v_set(tile->lengths[key]);
    lanes size = factor * factor, denominator = v_fma(others, others, floor);
    // The distance is no longer than both lengths together; a little more, since each step is rounded.
    lanes bound = v_fma(reach, reach, floor * value_square) * v_set(1.0001f);
    if (!v_exceeds(size * bound, v_set(best) * denominator)) return best;
    lanes product = mapped_product(rows->mapped + first, tile->values + key * padded(tile->width), tile->width);
    lanes distance = v_max(v_set(0), v_load(rows->out_squares + first) + value_square - product - product);
    float largest = v_max_of(size * (distance + floor * value_square) / denominator);
    return largest > best ? largest : best;
}

INLINE void observe_unit(bool bfloat, const int vectors, const block_tile *tile, const float *query,
                         const unit_rules *rules, const observing *rows, size_t first, const judged *change,
                         observed *seen) {
    lanes top[UNIT_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) top[v] = v_set(0);
    unit_scores(bfloat, vectors, tile, round_up(tile->count, SIDE), query, rules, top);
    const lanes lowest = v_set(bfloat ? -127 : EXP_FLOOR);
    for (size_t start = 0; start < tile->count; start += ENTROPY_KEYS) {
        size_t end = tile->count - start < ENTROPY_KEYS ? tile->count : start + ENTROPY_KEYS;
        lanes entropy = v_set(0);
        for (size_t key = start; key < end; key++) {
            lanes sum = v_load(seen->sums[key]), square = v_load(seen->squares[key]), largest = v_set(0);
            UNROLL for (int v = 0; v < vectors; v++) {
                lanes score = v_load(tile->scores + key * UNIT + v * LANES);
                // Held where A is 0 already: 0 times a finite number, never times infinity.
                lanes log = v_max(lowest, score - v_load(rows->log_sums + first + v * LANES));
                lanes a = v_weight(bfloat, log);
                entropy = entropy - a * log;
                sum = sum + a;
                square = v_fma(a, a, square);
                if (change) {
                    seen->largest[key] = change_square(a, rows, first + v * LANES, change, key, seen->largest[key]);
                } else {
                    largest = v_max(a, largest);
                }
            }
            v_store(seen->sums[key], sum), v_store(seen->squares[key], square);
            if (change) continue;
            float top_of_key = v_max_of(largest);
            if (top_of_key > seen->largest[key]) seen->largest[key] = top_of_key;
        }
        seen->entropy += sum_double(entropy);
    }
}

#define DEFINE_UNIT(vectors)                                                                                         \
    static void observe_float_##vectors(const block_tile *tile, const float *query, const unit_rules *rules,         \
                                        const observing *own, size_t first, const judged *change, observed *seen) { \
        observe_unit(false, vectors, tile, query, rules, own, first, change, seen);                                 \
    }                                                                                                                \
    static void observe_bfloat_##vectors(const block_tile *tile, const float *query, const unit_rules *rules,        \
                                         const observing *own, size_t first, const judged *change,                  \
                                         observed *seen) {                                                           \
        observe_unit(true, vectors, tile, query, rules, own, first, change, seen);                                  \
    }
DEFINE_UNIT(1)
DEFINE_UNIT(2)
DEFINE_UNIT(3)
#undef DEFINE_UNIT

// Rows start ..< start + n; behind them A is 0.
INLINE void take_rows(bool bfloat, const float *log_sums, const caked_change *change, size_t start, size_t n,
                      observing *rows) {
    for (size_t i = 0; i < UNIT; i++) {
        const bool there = i < n;
        rows->log_sums[i] = there ? log_sums[start + i] * score_scale(bfloat) : INFINITY;
        if (!change) continue;
        rows->scales[i] = there ? change->row_scales[start + i] : 0;
        rows->out_squares[i] = there ? change->out_squares[start + i] : 0;
        rows->out_lengths[i] = __builtin_sqrtf(rows->out_squares[i] > 0 ? rows->out_squares[i] : 0);
    }
    if (change) rows->mapped = change->mapped + start / UNIT * change->mapped_step;
}

static double observe(caked_precision precision, const float *packed, size_t unit_step, size_t rows, size_t width,
                      caked_type type, const void *keys, size_t count, ptrdiff_t first_seen,
                      const caked_scoring *scoring, const float *log_sums, const caked_change *change, float *mean,
                      float *variance, float *maximum, float *room) {
    typedef void (*unit)(const block_tile *, const float *, const unit_rules *, const observing *, size_t, const judged *,
                         observed *);
    static const unit functions[2][UNIT_VECTORS] = {{observe_float_1, observe_float_2, observe_float_3},
                                                    {observe_bfloat_1, observe_bfloat_2, observe_bfloat_3}};
    const bool bfloat = precision == CAKED_BFLOAT;
    const size_t stride = padded(width);
    float *floats = room + 2 * TILE_KEYS * stride + TILE_KEYS * UNIT;
    block_tile tile = {width, count, room, room + TILE_KEYS * stride, room + 2 * TILE_KEYS * stride};
    tile_keys(bfloat, type, keys, count, width, floats, tile.keys);
    observed seen = {.entropy = 0};
    judged judge = {.values = tile.values, .width = width};
    for (size_t key = 0; key < count; key++) seen.largest[key] = change ? maximum[key] * maximum[key] : maximum[key];
    if (change) {
        tile_floats(caked_value_type(type), change->values, count, width, tile.values);
        judge.squares = change->value_squares;
        for (size_t key = 0; key < count; key++) {
            judge.lengths[key] = __builtin_sqrtf(judge.squares[key] > 0 ? judge.squares[key] : 0);
        }
    }
    for (size_t start = 0; start < rows; start += UNIT) {
        size_t n = rows - start < UNIT ? rows - start : UNIT;
        if (shown(first_seen, start + n - 1, count) == 0) continue;
        unit_scoring rescored;
        if (scoring && !scoring_of_tile(scoring, score_scale(bfloat), 0, count, start, &rescored)) continue;
        observing own;
        take_rows(bfloat, log_sums, change, start, n, &own);
        float limits[UNIT];
        bool masked = shown(first_seen, start, count) < count;
        for (size_t i = 0; masked && i < UNIT; i++) limits[i] = (float)shown(first_seen, start + i, count);
        for (size_t i = 0; i < n; i += UNIT_VECTORS * LANES) {
            size_t left = (n - i + LANES - 1) / LANES, vectors = left < UNIT_VECTORS ? left : UNIT_VECTORS;
            unit_rules rules = {masked ? limits : NULL, scoring ? &rescored : NULL, i};
            functions[bfloat][vectors - 1](&tile, packed + start / UNIT * unit_step + i, &rules, &own, i,
                                           change ? &judge : NULL, &seen);
        }
    }
    for (size_t key = 0; key < count; key++) {
        double sum = sum_double(v_load(seen.sums[key])), squares = sum_double(v_load(seen.squares[key]));
        double spread = rows > 1 ? (squares - sum * sum / (double)rows) / (double)(rows - 1) : 0;
        mean[key] = rows > 0 ? (float)(sum / (double)rows) : 0;
        variance[key] = spread > 0 ? (float)spread : 0;
        float largest = change ? __builtin_sqrtf(seen.largest[key]) : seen.largest[key];
        if (largest > maximum[key]) maximum[key] = largest;
    }
    return seen.entropy * (bfloat ? 0x1.62e42fefa39efp-1 : 1);
}

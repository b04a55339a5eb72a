// CAKE's statistics of observed attention, a strip of columns at a time so that two passes find it in the cache; and
// what evicting an entry would change.

enum { STRIP = 4, ENTROPY_ROWS = 8 };

// Turns the first `count` of up to LANES scores into attention, zeros after them, and adds -A ln A to `entropy`.
INLINE lanes attention(float *scores, size_t count, size_t width, lanes log_sum, lanes *entropy) {
    lanes score = count == LANES ? v_load(scores) : v_load_first(scores, count, -INFINITY);
    // ln A, held where A is 0 already: 0 times a finite number, never times infinity.
    lanes log = v_max(v_set(EXP_FLOOR), score - log_sum);
    lanes a = v_exp(log);
    *entropy = *entropy - a * log;
    if (width == LANES) v_store(scores, a);
    else v_store_first(scores, a, width);
    return a;
}

INLINE double sum_double(lanes v) {
    float elements[LANES];
    v_store(elements, v);
    double sum = 0;
    for (int i = 0; i < LANES; i++) sum += elements[i];
    return sum;
}

typedef struct {
    float *scores;
    size_t stride, rows, columns;
    const float *log_sum;
    const uint32_t *visible;
    float *mean, *variance, *maximum;
} observed;

// One vector of columns, columns from ..< from + width. Mean first, then the squares of the distances to it.
INLINE double observe_columns(const observed *tile, size_t from, size_t width) {
    lanes sum = v_set(0), largest = v_set(0), entropy = v_set(0);
    double total = 0;
    for (size_t r = 0; r < tile->rows; r++) {
        size_t count = seen(tile->visible, r, from, width);
        float *scores = tile->scores + r * tile->stride + from;
        if (count == 0) {
            for (size_t i = 0; i < width; i++) scores[i] = 0;
            continue;
        }
        lanes a = attention(scores, count, width, v_set(tile->log_sum[r]), &entropy);
        sum = sum + a;
        largest = v_max(a, largest);
        if (r % ENTROPY_ROWS == ENTROPY_ROWS - 1) {  // few enough additions that float loses nothing of note
            total += sum_double(entropy);
            entropy = v_set(0);
        }
    }
    total += sum_double(entropy);
    lanes mean = sum / v_set((float)tile->rows), squares = v_set(0);
    for (size_t r = 0; r < tile->rows; r++) {
        const float *a = tile->scores + r * tile->stride + from;
        lanes distance = (width == LANES ? v_load(a) : v_load_first(a, width, 0)) - mean;
        squares = v_fma(distance, distance, squares);
    }
    lanes variance = tile->rows > 1 ? squares / v_set((float)(tile->rows - 1)) : v_set(0);
    if (width == LANES) {
        v_store(tile->mean + from, mean), v_store(tile->variance + from, variance);
        v_store(tile->maximum + from, largest);
    } else {
        v_store_first(tile->mean + from, mean, width), v_store_first(tile->variance + from, variance, width);
        v_store_first(tile->maximum + from, largest, width);
    }
    return total;
}

static double observe_tile(float *scores, size_t stride, size_t rows, size_t columns, const float *log_sum,
                           const uint32_t *visible, float *mean, float *variance, float *maximum) {
    observed tile = {scores, stride, rows, columns, log_sum, visible, mean, variance, maximum};
    if (rows == 0) {
        for (size_t i = 0; i < columns; i++) mean[i] = variance[i] = maximum[i] = 0;
        return 0;
    }
    double entropy = 0;
    size_t from = 0;
    for (; from + LANES <= columns; from += LANES) entropy += observe_columns(&tile, from, LANES);
    if (from < columns) entropy += observe_columns(&tile, from, columns - from);
    return entropy;
}

// Below this share of other entries, the distance to an output that is nearly the entry's own value is rounding error.
#define OTHERS_FLOOR 1e-2f

// Squares are compared, and rooted once per column.
INLINE lanes change_square(lanes a, lanes product, lanes out_square, lanes value_square, lanes scale) {
    const lanes floor = v_set(OTHERS_FLOOR * OTHERS_FLOOR);
    lanes distance = v_max(v_set(0), out_square + value_square - product - product), others = v_set(1) - a;
    lanes factor = a * scale;
    return factor * factor * (distance + floor * value_square) / v_fma(others, others, floor);
}

static void observe_change(const float *attention, const float *products, size_t stride, size_t rows, size_t columns,
                           const float *out_squares, const float *value_squares, const float *row_scales,
                           float *change) {
    for (size_t from = 0; from < columns; from += LANES) {
        size_t width = columns - from < LANES ? columns - from : LANES;
        lanes value_square = v_load_first(value_squares + from, width, 0), largest = v_set(0);
        for (size_t r = 0; r < rows; r++) {
            const float *a = attention + r * stride + from, *product = products + r * stride + from;
            lanes square = width == LANES
                               ? change_square(v_load(a), v_load(product), v_set(out_squares[r]), value_square,
                                               v_set(row_scales[r]))
                               : change_square(v_load_first(a, width, 0), v_load_first(product, width, 0),
                                               v_set(out_squares[r]), value_square, v_set(row_scales[r]));
            largest = v_max(square, largest);
        }
        float squares[LANES];
        v_store(squares, largest);
        for (size_t i = 0; i < width; i++) change[from + i] = __builtin_sqrtf(squares[i]);
    }
}

// Products of a few activation rows with stored weights: the work of a decode step, bound by reading the weights.
//
// The sum of one (row, output) is formed in the same order whatever the other rows and outputs of the call: blocks go
// to two accumulators in turn. So a question gets the same answer alone or in a batch, on one thread or several.

enum { MATMUL_ROWS = 4, MATMUL_CACHED_BYTES = 256 * 1024 };

// Adds the products of one block of 32 weights and of `rows` activation rows to sum[rows].
INLINE void block_q8_0(const uint8_t *w, const float *x, size_t stride, int rows, lanes *sum) {
    lanes scale = v_set_half(w), weights[CAKED_BLOCK / LANES];
    UNROLL for (int k = 0; k < CAKED_BLOCK / LANES; k++) weights[k] = v_load_int8(w + 2 + k * LANES);
    UNROLL for (int r = 0; r < rows; r++) {
        lanes p = weights[0] * v_load(x + r * stride);
        UNROLL for (int k = 1; k < CAKED_BLOCK / LANES; k++) p = v_fma(weights[k], v_load(x + r * stride + k * LANES), p);
        sum[r] = v_fma(scale, p, sum[r]);
    }
}

INLINE void block_q4_0(const uint8_t *w, const float *x, size_t stride, int rows, lanes *sum) {
    enum { HALF = CAKED_BLOCK / 2 / LANES };
    lanes scale = v_set_half(w), low[HALF], high[HALF];
    UNROLL for (int k = 0; k < HALF; k++) {
        low[k] = v_load_low(w + 2 + k * LANES);
        high[k] = v_load_high(w + 2 + k * LANES);
    }
    UNROLL for (int r = 0; r < rows; r++) {
        const float *row = x + r * stride;
        lanes p = low[0] * v_load(row);
        p = v_fma(high[0], v_load(row + CAKED_BLOCK / 2), p);
        UNROLL for (int k = 1; k < HALF; k++) {
            p = v_fma(low[k], v_load(row + k * LANES), p);
            p = v_fma(high[k], v_load(row + CAKED_BLOCK / 2 + k * LANES), p);
        }
        sum[r] = v_fma(scale, p, sum[r]);
    }
}

#define DEFINE_BLOCK(type, load, bytes)                                                                  \
    INLINE void block_##type(const uint8_t *w, const float *x, size_t stride, int rows, lanes *sum) {    \
        lanes weights = load;                                                                            \
        UNROLL for (int r = 0; r < rows; r++) sum[r] = v_fma(weights, v_load(x + r * stride), sum[r]);   \
    }
DEFINE_BLOCK(f32, v_load((const float *)(const void *)w), 4)
DEFINE_BLOCK(f16, v_load_half(w), 2)
DEFINE_BLOCK(bf16, v_load_bfloat(w), 2)
#undef DEFINE_BLOCK

// products[r] = sum_i w[i] * x[r, i]: whole blocks in turn into two accumulators, then what is left padded with zeros.
#define DEFINE_DOT(type, elements, bytes)                                                                            \
    INLINE void dot_##type(const uint8_t *w, size_t inputs, const float *x, size_t stride, int rows, float *products) { \
        lanes even[MATMUL_ROWS], odd[MATMUL_ROWS];                                                                   \
        UNROLL for (int r = 0; r < rows; r++) even[r] = odd[r] = v_set(0);                                           \
        size_t i = 0;                                                                                                \
        for (; i + 2 * (elements) <= inputs; i += 2 * (elements), w += 2 * (bytes)) {                                \
            block_##type(w, x + i, stride, rows, even);                                                              \
            block_##type(w + (bytes), x + i + (elements), stride, rows, odd);                                        \
        }                                                                                                            \
        if (i + (elements) <= inputs) {                                                                              \
            block_##type(w, x + i, stride, rows, even);                                                              \
            i += (elements), w += (bytes);                                                                           \
        }                                                                                                            \
        if (i < inputs) {                                                                                            \
            uint8_t weights[bytes] = {0};                                                                            \
            float padded[MATMUL_ROWS * (elements)] = {0};                                                            \
            memcpy(weights, w, (inputs - i) * (bytes) / (elements));                                                 \
            UNROLL for (int r = 0; r < rows; r++) {                                                                  \
                memcpy(padded + r * (elements), x + r * stride + i, (inputs - i) * sizeof *x);                       \
            }                                                                                                        \
            block_##type(weights, padded, (elements), rows, odd);                                                    \
        }                                                                                                            \
        UNROLL for (int r = 0; r < rows; r++) products[r] = v_sum(even[r] + odd[r]);                                 \
    }
DEFINE_DOT(f32, LANES, 4 * LANES)
DEFINE_DOT(f16, LANES, 2 * LANES)
DEFINE_DOT(bf16, LANES, 2 * LANES)
DEFINE_DOT(q8_0, CAKED_BLOCK, CAKED_Q8_0_BYTES)
DEFINE_DOT(q4_0, CAKED_BLOCK, CAKED_Q4_0_BYTES)
#undef DEFINE_DOT

typedef struct {
    const uint8_t *w;
    size_t row_bytes, inputs, first, end;
    const float *x;
    size_t x_stride;
    float *y;
    size_t y_stride;
    const float *bias;
} product;

// Outputs first ..< end for `rows` rows, at most four. A function of its own for each number of rows keeps the sums in registers.
#define DEFINE_ROWS(type, rows)                                                                    \
    static void product_##type##_##rows(const product *m) {                                        \
        for (size_t o = m->first; o < m->end; o++) {                                               \
            float products[rows];                                                                  \
            dot_##type(m->w + o * m->row_bytes, m->inputs, m->x, m->x_stride, rows, products);     \
            float bias = m->bias ? m->bias[o] : 0;                                                 \
            for (int r = 0; r < rows; r++) m->y[r * m->y_stride + o] = products[r] + bias;         \
        }                                                                                          \
    }
#define DEFINE_TYPE(type) DEFINE_ROWS(type, 1) DEFINE_ROWS(type, 2) DEFINE_ROWS(type, 3) DEFINE_ROWS(type, 4)
DEFINE_TYPE(f32)
DEFINE_TYPE(f16)
DEFINE_TYPE(bf16)
DEFINE_TYPE(q8_0)
DEFINE_TYPE(q4_0)
#undef DEFINE_TYPE
#undef DEFINE_ROWS

typedef void (*product_function)(const product *);

static product_function product_of(caked_type type, size_t rows) {
#define ROWS_OF(type) {product_##type##_1, product_##type##_2, product_##type##_3, product_##type##_4}
    static const product_function functions[][MATMUL_ROWS] = {
        ROWS_OF(f32), ROWS_OF(f16), ROWS_OF(bf16), ROWS_OF(q8_0), ROWS_OF(q4_0)};
#undef ROWS_OF
    switch (type) {
        case CAKED_F32: return functions[0][rows - 1];
        case CAKED_F16: return functions[1][rows - 1];
        case CAKED_BF16: return functions[2][rows - 1];
        case CAKED_Q8_0: return functions[3][rows - 1];
        case CAKED_Q4_0: return functions[4][rows - 1];
    }
    return NULL;
}

// Goes over the outputs in pieces whose weights stay in the cache while the groups of four rows pass over them.
static void matmul(caked_type type, const void *w, size_t inputs, size_t first, size_t outputs, const float *x,
                   size_t x_stride, size_t rows, float *y, size_t y_stride, const float *bias) {
    size_t row_bytes = caked_bytes(type, inputs);
    size_t piece = row_bytes == 0 ? outputs : MATMUL_CACHED_BYTES / row_bytes + 1;
    for (size_t done = 0; done < outputs; done += piece) {
        size_t end = first + (outputs - done < piece ? outputs : done + piece);
        for (size_t r = 0; r < rows; r += MATMUL_ROWS) {
            product_function function = product_of(type, rows - r < MATMUL_ROWS ? rows - r : MATMUL_ROWS);
            if (function == NULL) return;
            product m = {w, row_bytes, inputs, first + done, end, x + r * x_stride, x_stride, y + r * y_stride,
                         y_stride, bias};
            function(&m);
        }
    }
}

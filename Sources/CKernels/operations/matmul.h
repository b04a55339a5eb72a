// Products of a few activation rows with stored weights: the work of a decode step, bound by reading the weights.
//
// The sum of one (row, output) is formed in the same order whatever the other rows and outputs of the call: block after
// block into one vector of sums. So a question gets the same answer alone or in a batch, on one thread or several.

enum { MATMUL_ROWS = 4, MATMUL_OUTPUTS = 4, MATMUL_CACHED_BYTES = 256 * 1024 };

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

#define DEFINE_BLOCK(type, load)                                                                  \
    INLINE void block_##type(const uint8_t *w, const float *x, size_t stride, int rows, lanes *sum) {    \
        lanes weights = load;                                                                            \
        UNROLL for (int r = 0; r < rows; r++) sum[r] = v_fma(weights, v_load(x + r * stride), sum[r]);   \
    }
DEFINE_BLOCK(f32, v_load((const float *)(const void *)w))
DEFINE_BLOCK(f16, v_load_half(w))
DEFINE_BLOCK(bf16, v_load_bfloat(w))
#undef DEFINE_BLOCK

// Types unpacked part by part: the sum of each part, and the sum of those.
#define DEFINE_BLOCK(type, parts)                                                                              \
    INLINE void block_##type(const uint8_t *w, const float *x, size_t stride, int rows, lanes *sum) {          \
        factors f;                                                                                             \
        factors_##type(w, &f);                                                                                 \
        UNROLL for (int part = 0; part < parts; part++) {                                                      \
            lanes weights[PART_LANES];                                                                         \
            part_##type(w, &f, part, weights);                                                                 \
            UNROLL for (int r = 0; r < rows; r++) {                                                            \
                const float *row = x + r * stride + part * CAKED_BLOCK;                                        \
                lanes p = weights[0] * v_load(row);                                                            \
                UNROLL for (int k = 1; k < PART_LANES; k++) p = v_fma(weights[k], v_load(row + k * LANES), p); \
                sum[r] += p;                                                                                   \
            }                                                                                                  \
        }                                                                                                      \
    }
DEFINE_BLOCK(q4_1, 1)
DEFINE_BLOCK(q5_0, 1)
DEFINE_BLOCK(q5_1, 1)
DEFINE_BLOCK(q4_k, K_PARTS)
DEFINE_BLOCK(q5_k, K_PARTS)
DEFINE_BLOCK(q6_k, K_PARTS)
#undef DEFINE_BLOCK

// Types unpacked block by block: the sum of each 32, and the sum of those.
#define DEFINE_BLOCK(TYPE, type, elements, bytes)                                                              \
    INLINE void block_##type(const uint8_t *w, const float *x, size_t stride, int rows, lanes *sum) {          \
        float weights[elements];                                                                               \
        unpack_##type(w, weights);                                                                             \
        for (size_t i = 0; i < elements; i += CAKED_BLOCK) {                                                   \
            UNROLL for (int r = 0; r < rows; r++) {                                                            \
                const float *row = x + r * stride + i;                                                         \
                lanes p = v_load(weights + i) * v_load(row);                                                   \
                UNROLL for (int k = LANES; k < CAKED_BLOCK; k += LANES) {                                      \
                    p = v_fma(v_load(weights + i + k), v_load(row + k), p);                                    \
                }                                                                                              \
                sum[r] += p;                                                                                   \
            }                                                                                                  \
        }                                                                                                      \
    }
COARSE_TYPES(DEFINE_BLOCK)
#undef DEFINE_BLOCK

typedef struct {
    const uint8_t *w;
    size_t row_bytes, inputs, first, end;
    const float *x;
    size_t x_stride;
    float *y;
    size_t y_stride;
    const float *bias;
} product;

typedef void (*block_function)(const uint8_t *, const float *, size_t, int, lanes *);

// Outputs o ..< o + outputs for `rows` rows: whole blocks of `elements`, then what is left padded with zeros: types of
// real blocks leave nothing.
INLINE void product_tile(const product *m, size_t o, const int outputs, const int rows, block_function block,
                         const size_t elements, const size_t bytes) {
    const uint8_t *w = m->w + o * m->row_bytes;
    lanes sum[MATMUL_OUTPUTS * MATMUL_ROWS];
    UNROLL for (int k = 0; k < outputs * rows; k++) sum[k] = v_set(0);
    size_t i = 0;
    for (; i + elements <= m->inputs; i += elements, w += bytes) {
        UNROLL for (int k = 0; k < outputs; k++) {
            // The same place of the next outputs: rows this short end before the hardware's prefetcher gets going.
            UNROLL for (size_t line = 0; line < bytes; line += 64) {
                __builtin_prefetch((const void *)((uintptr_t)w + (size_t)(k + outputs) * m->row_bytes + line), 0, 2);
            }
            block(w + k * m->row_bytes, m->x + i, m->x_stride, rows, sum + k * rows);
        }
    }
    if (elements == LANES && i < m->inputs) {
        size_t left = m->inputs - i;
        float x[MATMUL_ROWS * LANES] = {0};
        for (int r = 0; r < rows; r++) memcpy(x + r * elements, m->x + r * m->x_stride + i, left * sizeof *x);
        UNROLL for (int k = 0; k < outputs; k++) {
            uint8_t weights[LANES * sizeof(float)] = {0};
            memcpy(weights, w + k * m->row_bytes, left * bytes / elements);
            block(weights, x, elements, rows, sum + k * rows);
        }
    }
    UNROLL for (int k = 0; k < outputs; k++) {
        float bias = m->bias ? m->bias[o + k] : 0;
        UNROLL for (int r = 0; r < rows; r++) m->y[r * m->y_stride + o + k] = v_sum(sum[k * rows + r]) + bias;
    }
}

// As many outputs at a time as the registers hold sums for: independent chains of additions, and each activation
// loaded once for all of them. A function of its own for each number of rows keeps the sums in registers.
#define DEFINE_ROWS(type, elements, bytes, rows)                                                          \
    static void product_##type##_##rows(const product *m) {                                               \
        enum { OUTPUTS = LANES == 16 || rows == 1 ? MATMUL_OUTPUTS : MATMUL_OUTPUTS / 2 };                \
        size_t o = m->first;                                                                              \
        for (; o + OUTPUTS <= m->end; o += OUTPUTS) {                                                     \
            product_tile(m, o, OUTPUTS, rows, block_##type, elements, bytes);                             \
        }                                                                                                 \
        for (; o < m->end; o++) product_tile(m, o, 1, rows, block_##type, elements, bytes);               \
    }
#define DEFINE_TYPE(type, elements, bytes)                                                \
    DEFINE_ROWS(type, elements, bytes, 1)                                                 \
    DEFINE_ROWS(type, elements, bytes, 2)                                                 \
    DEFINE_ROWS(type, elements, bytes, 3)                                                 \
    DEFINE_ROWS(type, elements, bytes, 4)
DEFINE_TYPE(f32, LANES, 4 * LANES)
DEFINE_TYPE(f16, LANES, 2 * LANES)
DEFINE_TYPE(bf16, LANES, 2 * LANES)
DEFINE_TYPE(q8_0, CAKED_BLOCK, CAKED_Q8_0_BYTES)
DEFINE_TYPE(q4_0, CAKED_BLOCK, CAKED_Q4_0_BYTES)
DEFINE_TYPE(q4_1, CAKED_BLOCK, CAKED_Q4_1_BYTES)
DEFINE_TYPE(q5_0, CAKED_BLOCK, CAKED_Q5_0_BYTES)
DEFINE_TYPE(q5_1, CAKED_BLOCK, CAKED_Q5_1_BYTES)
DEFINE_TYPE(q4_k, CAKED_K_BLOCK, CAKED_Q4_K_BYTES)
DEFINE_TYPE(q5_k, CAKED_K_BLOCK, CAKED_Q5_K_BYTES)
DEFINE_TYPE(q6_k, CAKED_K_BLOCK, CAKED_Q6_K_BYTES)
#define DEFINE_COARSE(TYPE, type, elements, bytes) DEFINE_TYPE(type, elements, bytes)
COARSE_TYPES(DEFINE_COARSE)
#undef DEFINE_COARSE
#undef DEFINE_TYPE
#undef DEFINE_ROWS

typedef void (*product_function)(const product *);

static product_function product_of(caked_type type, size_t rows) {
#define CASE(TYPE, type)                                                                                         \
    case CAKED_##TYPE: {                                                                                         \
        static const product_function functions[] = {product_##type##_1, product_##type##_2, product_##type##_3, \
                                                     product_##type##_4};                                        \
        return functions[rows - 1];                                                                              \
    }
    switch (type) {
        CASE(F32, f32)
        CASE(F16, f16)
        CASE(BF16, bf16)
        CASE(Q8_0, q8_0)
        CASE(Q4_0, q4_0)
        CASE(Q4_1, q4_1)
        CASE(Q5_0, q5_0)
        CASE(Q5_1, q5_1)
        CASE(Q4_K, q4_k)
        CASE(Q5_K, q5_k)
        CASE(Q6_K, q6_k)
#define COARSE_CASE(TYPE, type, elements, bytes) CASE(TYPE, type)
        COARSE_TYPES(COARSE_CASE)
#undef COARSE_CASE
        case CAKED_Q4: break;
    }
#undef CASE
    return NULL;
}

// Goes over the outputs in pieces whose weights stay in the cache while the groups of four rows pass over them.
static void matmul(caked_type type, const void *w, size_t inputs, size_t first, size_t outputs, const float *x,
                   size_t x_stride, size_t rows, float *y, size_t y_stride, const float *bias) {
    size_t row_bytes = caked_bytes(type, inputs);
    if (inputs > 0 && row_bytes == 0) return;  // no such type, or part of a block: the loader lets neither through
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

// Dense products of bytes: panels of weights with tiles of quantised rows.
//
// y = sum over blocks, in order, of (exact sum of integer products) * (weight scale * activation scale), and of
// shift * (activation scale * sum of the activation's quants) behind it where the type has shifts; every float
// operation rounded by itself: the same bits on every CPU, however rows and outputs are split.

typedef uint16_t pairs __attribute__((vector_size(4 * LANES)));

INLINE quads load_quads(const uint8_t *p) {
    quads v;
    memcpy(&v, p, sizeof v);
    return v;
}

// Bits of each byte moved left, or right where `places` is negative; bits that cross into the next byte are for the
// caller to mask.
INLINE quads moved(quads v, const int places) {
    return places >= 0 ? (quads)((pairs)v << places) : (quads)((pairs)v >> -places);
}

// Quants k of a block of `width` bits.
INLINE quads panel_quants(const uint8_t *w, const int width, const int k) {
    enum { STEP = 4 * PANEL_GROUP };
    if (width == 8) return load_quads(w + k * STEP);
    quads v = moved(load_quads(w + k % 4 * STEP), k < 4 ? 0 : -4) & 15;
    if (width == 5) v |= moved(load_quads(w + 4 * STEP), 4 - k) & 16;
    if (width == 6) v |= moved(load_quads(w + (4 + k / 4) * STEP), 4 - 2 * (k % 4)) & 48;
    return v;
}

// What a tile of rows needs to be multiplied with `blocks` blocks of a group, of which `outputs` are there.
typedef struct {
    const uint8_t *w, *x;  // x is the tile's first block's, the product's block `first`
    size_t first, blocks, outputs;
    const float *bias;  // what the sums start with; NULL: 0
    bool continues;     // the sums start with y instead
    float *y;
    size_t y_stride;
} panel_product;

INLINE lanes load_outputs(const float *p, size_t n) { return n < LANES ? v_load_first(p, n, 0) : v_load(p); }
INLINE integers set32(const uint8_t *p) { return (integers){0} + (int32_t)load32(p); }
INLINE lanes set_float(const uint8_t *p) { return v_set(caked_float(load32(p))); }
INLINE lanes load_factors(const uint8_t *p) { return v_from_integers(v_load_bytes(p)); }
INLINE integers load_signed(const uint8_t *p) { return (integers)(v_load_bytes(p) << 24) >> 24; }

// Integer sums of a block: of (quant - zero) * x where weights have a zero, of quant * x where they have a shift.
INLINE void panel_sums(caked_type type, const uint8_t *w, size_t output, const uint8_t *x, const int rows, integers *sum) {
    const int width = caked_panel_bits(type);
    const uint8_t *zeros = x + rows * (CAKED_BLOCK + 4);
    integers first[PANEL_ROWS];
    UNROLL for (int r = 0; r < rows; r++) {
        if (caked_panel_is_halved(type)) {
            sum[r] = set32(zeros + 4 * (rows + r)) >> 2;
        } else if (caked_panel_is_shifted(type)) {
            sum[r] = (integers){0};
        } else {
            sum[r] = width == 8 ? v_dot8_start(zeros + 4 * r) : set32(zeros + 4 * r) >> (8 - width);
        }
    }
    UNROLL for (int k = 0; k < CAKED_BLOCK / 4; k++) {
        quads quants = panel_quants(w + 4 * output, width, k);
        if (caked_panel_is_halved(type) && k == CAKED_BLOCK / 8) {
            UNROLL for (int r = 0; r < rows; r++) {
                first[r] = sum[r];
                sum[r] = (set32(zeros + 4 * r) - set32(zeros + 4 * (rows + r))) >> 2;
            }
        }
        UNROLL for (int r = 0; r < rows; r++) {
            uint32_t four = load32(x + r * CAKED_BLOCK + 4 * k);
            sum[r] = width == 8 ? v_dot8(sum[r], quants, four) : v_dot4(sum[r], quants, four);
        }
    }
    if (!caked_panel_is_halved(type)) return;
    // Halves have scales of their own; their products with the sums are exact, and so is the sum of both as a float.
    const uint8_t *factors = w + caked_panel_quants(type) + output;
    integers low = load_signed(factors), high = load_signed(factors + PANEL_GROUP);
    UNROLL for (int r = 0; r < rows; r++) sum[r] = low * first[r] + high * sum[r];
}

// LANES outputs of a group from the given one on.
INLINE void panel_lanes(const panel_product *m, caked_type type, size_t output, const int rows) {
    enum { AHEAD = 2048 };  // bytes of the stream that are fetched ahead: what comes while a block is multiplied
    const bool nested = caked_panel_is_nested(type), shifted = caked_panel_is_shifted(type);
    const size_t block = caked_panel_block(type), run = nested ? PANEL_PIECE : 1;
    const uint8_t *w = m->w, *x = m->x + m->first * (size_t)rows * ROW_BYTES;
    size_t outputs = m->outputs - output;
    lanes total[PANEL_ROWS];
    UNROLL for (int r = 0; r < rows; r++) {
        const float *start = m->continues ? m->y + r * m->y_stride : m->bias;
        total[r] = start ? load_outputs(start + output, outputs) : v_set(0);
    }
    for (size_t b = 0; b < m->blocks; b += run) {
        lanes scales = v_set(1), shifts = v_set(0);
        if (nested) {
            scales = v_load_half(w + 2 * output);
            if (shifted) shifts = -v_load_half(w + PANEL_HALVES + 2 * output);
            w += caked_panel_head(type);
        }
        for (size_t part = 0; part < run; part++, w += block, x += rows * ROW_BYTES) {
            if (output == 0) {
                UNROLL for (size_t line = 0; line < block; line += 64) {
                    __builtin_prefetch((const void *)((uintptr_t)w + AHEAD + line), 0, 3);
                }
            }
            integers sum[PANEL_ROWS];
            panel_sums(type, w, output, x, rows, sum);
            const uint8_t *factors = w + caked_panel_quants(type);
            lanes scale = scales, shift = shifts;
            if (!nested) {
                scale = v_load_half(factors + 2 * output);
                if (shifted) shift = v_load_half(factors + PANEL_HALVES + 2 * output);
            } else if (shifted) {
                scale *= load_factors(factors + output);
                shift *= load_factors(factors + PANEL_GROUP + output);
            } else if (!caked_panel_is_halved(type)) {
                scale *= v_from_integers((bits)load_signed(factors + output));
            }
            UNROLL for (int r = 0; r < rows; r++) {
                const uint8_t *scaling = x + rows * CAKED_BLOCK + 4 * r;
                lanes both = v_rounded(scale * set_float(scaling));
                total[r] += v_rounded(__builtin_convertvector(sum[r], lanes) * both);
                if (shifted) total[r] += v_rounded(shift * set_float(scaling + 12 * rows));
            }
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

#define DEFINE_ROWS(TYPE, type, rows)                                                               \
    static void panel_##type##_##rows(const panel_product *m) {                                     \
        panel_lanes(m, CAKED_##TYPE, 0, rows);                                                      \
        for (size_t o = LANES; o < PANEL_GROUP && o < m->outputs; o += LANES) {                     \
            panel_lanes(m, CAKED_##TYPE, o, rows);                                                  \
        }                                                                                           \
    }
#define DEFINE_TYPE(TYPE, type)                                                                         \
    DEFINE_ROWS(TYPE, type, 1)                                                                          \
    DEFINE_ROWS(TYPE, type, 2)                                                                          \
    DEFINE_ROWS(TYPE, type, 3)                                                                          \
    DEFINE_ROWS(TYPE, type, 4)                                                                          \
    DEFINE_ROWS(TYPE, type, 5)                                                                          \
    DEFINE_ROWS(TYPE, type, 6)                                                                          \
    DEFINE_ROWS(TYPE, type, 7)                                                                          \
    DEFINE_ROWS(TYPE, type, 8)                                                                          \
    static void (*const panel_##type[])(const panel_product *) = {                                      \
        panel_##type##_1, panel_##type##_2, panel_##type##_3, panel_##type##_4,                         \
        panel_##type##_5, panel_##type##_6, panel_##type##_7, panel_##type##_8};
DEFINE_TYPE(Q4_0, q4_0)
DEFINE_TYPE(Q4_1, q4_1)
DEFINE_TYPE(Q5_0, q5_0)
DEFINE_TYPE(Q5_1, q5_1)
DEFINE_TYPE(Q8_0, q8_0)
DEFINE_TYPE(Q4_K, q4_k)
DEFINE_TYPE(Q5_K, q5_k)
DEFINE_TYPE(Q6_K, q6_k)
DEFINE_TYPE(Q3_K, q3_k)
DEFINE_TYPE(IQ4_NL, iq4_nl)
DEFINE_TYPE(IQ4_XS, iq4_xs)
DEFINE_TYPE(MXFP4, mxfp4)
#undef DEFINE_TYPE
#undef DEFINE_ROWS

typedef void (*panel_function)(const panel_product *);

// One for each number of rows of a tile, 1 first.
static const panel_function *panel_functions(caked_type type) {
    switch (type) {
        case CAKED_Q4_0: return panel_q4_0;
        case CAKED_Q4_1: return panel_q4_1;
        case CAKED_Q5_0: return panel_q5_0;
        case CAKED_Q5_1: return panel_q5_1;
        case CAKED_Q8_0: return panel_q8_0;
        case CAKED_Q4_K: return panel_q4_k;
        case CAKED_Q5_K: return panel_q5_k;
        case CAKED_Q6_K: return panel_q6_k;
        case CAKED_Q3_K: return panel_q3_k;
        case CAKED_IQ4_NL: return panel_iq4_nl;
        case CAKED_IQ4_XS: return panel_iq4_xs;
        case CAKED_MXFP4: return panel_mxfp4;
        default: return NULL;  // no other has panels
    }
}

// One group and all rows, tile by tile; `row_blocks` are the blocks of a whole row.
INLINE void panel_group(const panel_function *functions, panel_product m, size_t row_blocks, size_t rows) {
    for (size_t r = 0; r < rows; r += PANEL_ROWS) {
        functions[at_most(rows - r, PANEL_ROWS) - 1](&m);
        m.x += row_blocks * PANEL_ROWS * ROW_BYTES;
        m.y += PANEL_ROWS * m.y_stride;
    }
}

static void panel_matmul(caked_type type, const void *panel, size_t inputs, size_t outputs, const void *quantised,
                         size_t rows, float *y, size_t y_stride, const float *bias) {
    const panel_function *functions = panel_functions(type);
    if (functions == NULL) return;
    size_t blocks = inputs / CAKED_BLOCK, group = caked_panel_group(type, blocks);
    for (size_t o = 0; o < outputs; o += PANEL_GROUP) {
        const uint8_t *w = (const uint8_t *)panel + o / PANEL_GROUP * group;
        panel_product m = {w, quantised, 0, blocks, at_most(outputs - o, PANEL_GROUP), bias ? bias + o : NULL, false,
                           y + o, y_stride};
        panel_group(functions, m, blocks, rows);
    }
}

// Re-tiles a piece of a group at a time, which stays in the cache while the rows pass over it.
static void int8_matmul(caked_type type, const void *w, size_t inputs, size_t first, size_t outputs,
                        const void *quantised, size_t rows, float *y, size_t y_stride, const float *bias) {
    const panel_function *functions = panel_functions(type);
    if (functions == NULL) return;
    size_t row_bytes = caked_bytes(type, inputs), blocks = inputs / CAKED_BLOCK;
    _Alignas(64) uint8_t piece[PANEL_GROUP * (CAKED_K_BLOCK + PANEL_PIECE * 4)];
    for (size_t o = first; o < first + outputs; o += PANEL_GROUP) {
        const uint8_t *from = (const uint8_t *)w + o * row_bytes;
        uintptr_t next = (uintptr_t)from + PANEL_GROUP * row_bytes;
        panel_product m = {piece, quantised, 0, 0, at_most(first + outputs - o, PANEL_GROUP), bias ? bias + o : NULL,
                           false, y + o, y_stride};
        if (blocks == 0) panel_group(functions, m, 0, rows);
        for (; m.first < blocks; m.first += m.blocks, m.continues = true) {
            m.blocks = at_most(blocks - m.first, PANEL_PIECE);
            size_t bytes = caked_bytes(type, m.blocks * CAKED_BLOCK);
            prefetch_share(next, PANEL_GROUP * bytes);
            fill_piece(type, from, row_bytes, m.blocks, m.outputs, piece);
            panel_group(functions, m, blocks, rows);
            from += bytes;
            next += PANEL_GROUP * bytes;
        }
    }
}

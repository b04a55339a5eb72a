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

// Vectors of LANES outputs of a group, and how many of them share what is loaded of a few rows: sums of all stay in
// registers.
enum { GROUP_VECTORS = PANEL_GROUP / LANES, PANEL_SUMS = PANEL_ROWS };
INLINE int shared_vectors(const int rows) { return LANES == 8 && 2 * rows <= PANEL_SUMS ? 2 : 1; }

#ifndef CAKED_IN_ORDER
#define CAKED_IN_ORDER(v) (void)0
#endif

// Whether runs are sums of pairs: then halves are multiplied with their factors where pairs become fours.
#ifdef CAKED_PAIR_SUMS
enum { SUMS_PAIRS = true };
#else
enum { SUMS_PAIRS = false };
INLINE integers v_dot_end_times(integers sum, dots run, int16_pairs factor) { return (void)sum, (void)factor, run; }
#endif

// Factors of a block's halves, in both parts of a place.
typedef struct {
    int16_pairs half[2], zero;  // and those of the zeros of both, 32
} half_factors;

INLINE half_factors load_half_factors(const uint8_t *p) {
    integers low = load_signed(p), high = load_signed(p + PANEL_GROUP);
    half_factors f = {{(int16_pairs)((low & 0xffff) | low << 16), (int16_pairs)((high & 0xffff) | high << 16)},
                      (int16_pairs)((low & 0xffff) | high << 16) << 5};
    return f;
}

// What the sum of a block, or of a half, starts with: row r times the weights' zero, taken off. `sums` are those of the
// rows' quants.
INLINE integers panel_start(caked_type type, const uint8_t *sums, const int rows, const int r, const int half) {
    const int width = caked_panel_bits(type);
    const bool halved = caked_panel_is_halved(type);
    if (caked_panel_is_shifted(type)) return (integers){0};
    if (width == 8) return v_dot8_start(sums + 4 * r);
    // In a vector from the start: the compiler would shift a scalar and move it there, which takes longer.
    integers all = (integers)v_rounded((lanes)set32(sums + 4 * (halved ? rows + r : r)));
    if (halved) return half == 0 ? (all << 16) >> 11 : (all >> 16) << 5;
    return all >> (8 - width);
}

// Sums of a block, or of a half where halves have factors, for `vectors` vectors of outputs: of (quant - zero) * x
// where weights have a zero, of quant * x where they have a shift. `f` is NULL or has the factors of each vector; then
// the second half goes on with the first one's sums.
INLINE void panel_sums(caked_type type, const uint8_t *w, const int vectors, const uint8_t *x, const int rows,
                       const int half, const half_factors *f, integers *sum) {
    const int width = caked_panel_bits(type), step = v_dot_quads(caked_panel_largest(type));
    const int count = caked_panel_is_halved(type) ? CAKED_BLOCK / 8 : CAKED_BLOCK / 4, first = half * count;
    const uint8_t *sums = x + rows * (CAKED_BLOCK + 4);
    dots run[PANEL_SUMS];
    UNROLL for (int k = 0; k < count; k++) {
        const bool begins = k % step == 0, ends = k % step == step - 1 || k == count - 1;
        const bool goes_on = k >= step || (f && half == 1);
        quads quants[GROUP_VECTORS];
        UNROLL for (int v = 0; v < vectors; v++) quants[v] = panel_quants(w + v * 4 * LANES, width, first + k);
        UNROLL for (int i = 0; i < vectors * rows; i++) {
            const int v = i / rows, r = i % rows;
            uint32_t four = load32(x + r * CAKED_BLOCK + 4 * (first + k));
            integers before = (integers){0};
            // A run needs what it goes on with where it begins or, made of pairs, not before it ends.
            if (goes_on) {
                before = sum[i];
            } else if (f && ends) {
                before = v_dot2(before, f[v].zero, load32(sums + 4 * (rows + r)));
            } else if (SUMS_PAIRS ? ends : begins) {
                before = panel_start(type, sums, rows, r, half);
            }
            if (begins) run[i] = v_dot_begin(before);
            run[i] = width == 8 ? v_dot8(run[i], quants[v], four) : v_dot4(run[i], quants[v], four);
            if (!ends) {
                CAKED_IN_ORDER(run[i]);
                continue;
            }
            sum[i] = f ? v_dot_end_times(before, run[i], f[v].half[half]) : v_dot_end(before, run[i]);
            CAKED_IN_ORDER(sum[i]);
        }
    }
}

// Adds a block's products to the totals of `vectors` vectors of outputs, the first of them number `output` of the group.
INLINE void panel_part(caked_type type, const uint8_t *w, size_t output, const int vectors, const uint8_t *x,
                       const int rows, const lanes *scales, const lanes *shifts, lanes (*total)[PANEL_ROWS]) {
    const bool nested = caked_panel_is_nested(type), shifted = caked_panel_is_shifted(type);
    const bool halved = caked_panel_is_halved(type), weighs = halved && SUMS_PAIRS;
    const uint8_t *quants = w + 4 * output, *factors = w + caked_panel_quants(type) + (nested ? output : 2 * output);
    integers sum[PANEL_SUMS], second[PANEL_SUMS];
    half_factors f[GROUP_VECTORS];
    UNROLL for (int v = 0; v < vectors && weighs; v++) f[v] = load_half_factors(factors + v * LANES);
    panel_sums(type, quants, vectors, x, rows, 0, weighs ? f : NULL, sum);
    if (halved) panel_sums(type, quants, vectors, x, rows, 1, weighs ? f : NULL, weighs ? sum : second);
    UNROLL for (int v = 0; v < vectors; v++) {
        const uint8_t *own = factors + (nested ? v * LANES : 2 * v * LANES);
        lanes scale = scales[v], shift = shifts[v], low = scale, high = scale;
        if (!nested) {
            scale = v_load_half(own);
            if (shifted) shift = v_load_half(own + PANEL_HALVES);
        } else if (shifted) {
            scale *= load_factors(own);
            shift *= load_factors(own + PANEL_GROUP);
        } else if (!halved) {
            scale *= v_from_integers((bits)load_signed(own));
        } else if (!weighs) {
            low = v_from_integers((bits)load_signed(own)), high = v_from_integers((bits)load_signed(own + PANEL_GROUP));
        }
        UNROLL for (int r = 0; r < rows; r++) {
            const int i = v * rows + r;
            const uint8_t *scaling = x + rows * CAKED_BLOCK + 4 * r;
            lanes product = __builtin_convertvector(sum[i], lanes);
            // Halves' products with their factors, and the sum of both, are exact: below 2^24.
            if (halved && !weighs) product = v_fma(high, __builtin_convertvector(second[i], lanes), low * product);
            lanes both = v_rounded(scale * set_float(scaling)), now = total[v][r] + v_rounded(product * both);
            total[v][r] = shifted ? now + v_rounded(shift * set_float(scaling + 12 * rows)) : now;
        }
    }
}

// A group with the rows of a tile.
INLINE void panel_tile(const panel_product *m, caked_type type, const int rows) {
    enum { AHEAD = 2048 };  // bytes of the stream that are fetched ahead: what comes while a block is multiplied
    const bool nested = caked_panel_is_nested(type), shifted = caked_panel_is_shifted(type);
    const size_t block = caked_panel_block(type), run = nested ? PANEL_PIECE : 1;
    const uint8_t *w = m->w, *x = m->x + m->first * (size_t)rows * ROW_BYTES;
    const int vectors = shared_vectors(rows);
    lanes total[GROUP_VECTORS][PANEL_ROWS], scales[GROUP_VECTORS], shifts[GROUP_VECTORS];
    for (int v = 0; v < GROUP_VECTORS; v++) {
        const size_t output = (size_t)v * LANES, outputs = m->outputs < output ? 0 : m->outputs - output;
        UNROLL for (int r = 0; r < rows; r++) {
            const float *start = m->continues ? m->y + r * m->y_stride : m->bias;
            total[v][r] = start && outputs > 0 ? load_outputs(start + output, outputs) : v_set(0);
        }
        scales[v] = v_set(1), shifts[v] = v_set(0);
    }
    for (size_t b = 0; b < m->blocks; b += run) {
        if (nested) {
            UNROLL for (int v = 0; v < GROUP_VECTORS; v++) {
                scales[v] = v_load_half(w + 2 * v * LANES);
                if (shifted) shifts[v] = -v_load_half(w + PANEL_HALVES + 2 * v * LANES);
            }
            w += caked_panel_head(type);
        }
        for (size_t part = 0; part < run; part++, w += block, x += rows * ROW_BYTES) {
            UNROLL for (size_t line = 0; line < block; line += 64) {
                __builtin_prefetch((const void *)((uintptr_t)w + AHEAD + line), 0, 3);
            }
            LOOP for (int v = 0; v < GROUP_VECTORS; v += vectors) {
                panel_part(type, w, (size_t)v * LANES, vectors, x, rows, scales + v, shifts + v, total + v);
            }
        }
    }
    for (int v = 0; v < GROUP_VECTORS && (size_t)v * LANES < m->outputs; v++) {
        const size_t output = (size_t)v * LANES, outputs = m->outputs - output;
        UNROLL for (int r = 0; r < rows; r++) {
            float *y = m->y + r * m->y_stride + output;
            if (outputs < LANES) {
                v_store_first(y, total[v][r], outputs);
            } else {
                v_store(y, total[v][r]);
            }
        }
    }
}

#define DEFINE_ROWS(TYPE, type, rows) \
    static void panel_##type##_##rows(const panel_product *m) { panel_tile(m, CAKED_##TYPE, rows); }
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

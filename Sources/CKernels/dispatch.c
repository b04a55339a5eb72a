// The public functions: each calls its variant through the table chosen at start.
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"

static _Atomic(const caked_table *) current = &caked_portable;

static _Thread_local const caked_table *override;

static const caked_table *table(void) {
    return override ? override : atomic_load_explicit(&current, memory_order_relaxed);
}

#if defined(__x86_64__)
#include <cpuid.h>

// The register states the operating system saves (XCR0).
static uint64_t saved_states(void) {
    uint32_t low, high;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

// Whether this CPU and operating system run a set.
static bool runs(caked_instruction_set set) {
    const uint32_t fma = 1u << 12, osxsave = 1u << 27, f16c = 1u << 29;                        // leaf 1, ecx
    const uint32_t avx2 = 1u << 5, f = 1u << 16, dq = 1u << 17, bw = 1u << 30, vl = 1u << 31;  // leaf 7, ebx
    const uint32_t vnni = 1u << 11;                                                            // leaf 7, ecx
    const uint32_t avx_vnni = 1u << 4, bf16 = 1u << 5;                                         // leaf 7.1, eax
    uint32_t a, b, c, d, more = 0;
    if (set == CAKED_PORTABLE) return true;
    if (set == CAKED_NEON || !__get_cpuid(1, &a, &b, &c, &d) || (c & osxsave) == 0) return false;
    if ((c & (fma | f16c)) != (fma | f16c) || (saved_states() & 0x6) != 0x6) return false;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d) || (b & avx2) == 0) return false;
    if (set == CAKED_AVX2) return true;
    uint32_t unused[3];
    if (a >= 1) __get_cpuid_count(7, 1, &more, unused, unused + 1, unused + 2);
    if (set == CAKED_AVX_VNNI) return (more & avx_vnni) != 0;
    if (set == CAKED_BFLOAT16 && (more & bf16) == 0) return false;
    bool wide = (b & (f | dq | bw | vl)) == (f | dq | bw | vl) && (saved_states() & 0xe6) == 0xe6;
    return wide && (set == CAKED_AVX512 || (c & vnni) != 0);
}

caked_instruction_set caked_kernels_best(void) {
    static const caked_instruction_set falling[] = {CAKED_BFLOAT16, CAKED_VNNI, CAKED_AVX_VNNI, CAKED_AVX512,
                                                     CAKED_AVX2};
    for (size_t i = 0; i < sizeof falling / sizeof *falling; i++) {
        if (runs(falling[i])) return falling[i];
    }
    return CAKED_PORTABLE;
}

static const caked_table *table_for(caked_instruction_set set) {
    if (!runs(set)) return NULL;
    switch (set) {
        case CAKED_AVX2: return &caked_avx2;
        case CAKED_AVX_VNNI: return &caked_avx_vnni;
        case CAKED_AVX512: return &caked_avx512;
        case CAKED_VNNI: return &caked_vnni;
        case CAKED_BFLOAT16: return &caked_bfloat;
        default: return &caked_portable;
    }
}
#elif defined(__aarch64__)
caked_instruction_set caked_kernels_best(void) { return CAKED_NEON; }

static const caked_table *table_for(caked_instruction_set set) {
    return set == CAKED_NEON ? &caked_neon : set == CAKED_PORTABLE ? &caked_portable : NULL;
}
#else
caked_instruction_set caked_kernels_best(void) { return CAKED_PORTABLE; }

static const caked_table *table_for(caked_instruction_set set) {
    return set == CAKED_PORTABLE ? &caked_portable : NULL;
}
#endif

bool caked_kernels_select(caked_instruction_set set) {
    const caked_table *chosen = table_for(set);
    if (chosen == NULL) return false;
    atomic_store_explicit(&current, chosen, memory_order_relaxed);
    return true;
}

bool caked_kernels_override(caked_instruction_set set) {
    const caked_table *chosen = table_for(set);
    if (chosen == NULL) return false;
    override = chosen;
    return true;
}

void caked_kernels_end_override(void) { override = NULL; }

const char *caked_kernels_name_of(caked_instruction_set set) {
    const caked_table *table = table_for(set);
    return table ? table->name : NULL;
}

bool caked_kernels_select_named(const char *name) {
    for (int set = 0; set < CAKED_INSTRUCTION_SETS; set++) {
        const char *known = caked_kernels_name_of((caked_instruction_set)set);
        if (known != NULL && strcmp(known, name) == 0) return caked_kernels_select((caked_instruction_set)set);
    }
    return false;
}

// Before main: the set that CAKED_KERNELS names, where this machine runs it. Programs refuse a name that it does not.
__attribute__((constructor)) static void select_at_start(void) {
    const char *forced = getenv("CAKED_KERNELS");
    if (forced == NULL || !caked_kernels_select_named(forced)) caked_kernels_select(caked_kernels_best());
}

const char *caked_kernels_name(void) { return table()->name; }

static size_t block_bytes(size_t count, size_t elements, size_t bytes) {
    return count % elements == 0 ? count / elements * bytes : 0;
}

size_t caked_bytes(caked_type type, size_t count) {
    switch (type) {
        case CAKED_F32: return count * 4;
        case CAKED_F16:
        case CAKED_BF16: return count * 2;
        case CAKED_Q4_0: return block_bytes(count, CAKED_BLOCK, CAKED_Q4_0_BYTES);
        case CAKED_Q4_1: return block_bytes(count, CAKED_BLOCK, CAKED_Q4_1_BYTES);
        case CAKED_Q5_0: return block_bytes(count, CAKED_BLOCK, CAKED_Q5_0_BYTES);
        case CAKED_Q5_1: return block_bytes(count, CAKED_BLOCK, CAKED_Q5_1_BYTES);
        case CAKED_Q8_0: return block_bytes(count, CAKED_BLOCK, CAKED_Q8_0_BYTES);
        case CAKED_Q4_K: return block_bytes(count, CAKED_K_BLOCK, CAKED_Q4_K_BYTES);
        case CAKED_Q5_K: return block_bytes(count, CAKED_K_BLOCK, CAKED_Q5_K_BYTES);
        case CAKED_Q6_K: return block_bytes(count, CAKED_K_BLOCK, CAKED_Q6_K_BYTES);
        case CAKED_Q2_K: return block_bytes(count, CAKED_K_BLOCK, CAKED_Q2_K_BYTES);
        case CAKED_Q3_K: return block_bytes(count, CAKED_K_BLOCK, CAKED_Q3_K_BYTES);
        case CAKED_IQ4_NL: return block_bytes(count, CAKED_BLOCK, CAKED_IQ4_NL_BYTES);
        case CAKED_IQ4_XS: return block_bytes(count, CAKED_K_BLOCK, CAKED_IQ4_XS_BYTES);
        case CAKED_MXFP4: return block_bytes(count, CAKED_BLOCK, CAKED_MXFP4_BYTES);
        case CAKED_TQ1_0: return block_bytes(count, CAKED_K_BLOCK, CAKED_TQ1_0_BYTES);
        case CAKED_TQ2_0: return block_bytes(count, CAKED_K_BLOCK, CAKED_TQ2_0_BYTES);
        case CAKED_IQ2_XXS: return block_bytes(count, CAKED_K_BLOCK, CAKED_IQ2_XXS_BYTES);
        case CAKED_IQ2_XS: return block_bytes(count, CAKED_K_BLOCK, CAKED_IQ2_XS_BYTES);
        case CAKED_IQ2_S: return block_bytes(count, CAKED_K_BLOCK, CAKED_IQ2_S_BYTES);
        case CAKED_IQ3_XXS: return block_bytes(count, CAKED_K_BLOCK, CAKED_IQ3_XXS_BYTES);
        case CAKED_IQ3_S: return block_bytes(count, CAKED_K_BLOCK, CAKED_IQ3_S_BYTES);
        case CAKED_IQ1_S: return block_bytes(count, CAKED_K_BLOCK, CAKED_IQ1_S_BYTES);
        case CAKED_IQ1_M: return block_bytes(count, CAKED_K_BLOCK, CAKED_IQ1_M_BYTES);
        case CAKED_Q4: return 0;  // its keys lie in groups: caked_key_bytes
    }
    return 0;
}

size_t caked_key_bytes(caked_type type, size_t count, size_t width) {
    if (type != CAKED_Q4) return count * caked_bytes(type, width);
    if (width % CAKED_BLOCK != 0) return 0;
    return (count + CAKED_KEY_GROUP - 1) / CAKED_KEY_GROUP * 4 * width + count * (width / 2);
}

size_t caked_value_bytes(caked_type type, size_t count, size_t width) {
    return count * caked_bytes(caked_value_type(type), width);
}

bool caked_quantise_keys(caked_type type, const float *keys, size_t count, size_t width, void *dst) {
    return table()->quantise_keys(type, keys, count, width, dst);
}

bool caked_quantise_values(caked_type type, const float *values, size_t count, size_t width, void *dst) {
    return table()->quantise(caked_value_type(type), values, dst, count * width);
}

void caked_dequantise_keys(caked_type type, const void *keys, size_t count, size_t width, float *dst) {
    table()->dequantise_keys(type, keys, count, width, dst);
}

void caked_dequantise_values(caked_type type, const void *values, size_t count, size_t width, float *dst) {
    table()->dequantise(caked_value_type(type), values, dst, count * width);
}

void caked_dequantise(caked_type type, const void *src, float *dst, size_t count) {
    table()->dequantise(type, src, dst, count);
}

bool caked_quantise(caked_type type, const float *src, void *dst, size_t count) {
    return table()->quantise(type, src, dst, count);
}

void caked_matmul(caked_type type, const void *w, size_t inputs, size_t first, size_t outputs, const float *x,
                  size_t x_stride, size_t rows, float *y, size_t y_stride, const float *bias) {
    table()->matmul(type, w, inputs, first, outputs, x, x_stride, rows, y, y_stride, bias);
}

void caked_rms_norm(const float *x, const float *weight, float epsilon, float *y, size_t count) {
    table()->rms_norm(x, weight, epsilon, y, count);
}

void caked_add(const float *x, float *y, size_t count) { table()->add(x, y, count); }

void caked_swiglu(float *gate, const float *up, size_t count) { table()->swiglu(gate, up, count); }

void caked_geglu(float *gate, const float *up, size_t count) { table()->geglu(gate, up, count); }

void caked_clamped_swiglu(float *gate, const float *up, size_t count) { table()->clamped_swiglu(gate, up, count); }

void caked_soft_cap(float *x, float cap, size_t count) { table()->soft_cap(x, cap, count); }

void caked_rope_interleaved(float *head, const float *cosines, const float *sines, size_t half) {
    table()->rope_interleaved(head, cosines, sines, half);
}

void caked_rope_neox(float *head, const float *cosines, const float *sines, size_t half) {
    table()->rope_neox(head, cosines, sines, half);
}

void caked_attend(caked_type type, const void *keys, const void *values, size_t count, size_t width, const float *q,
                  size_t rows, const uint32_t *visible, const caked_scoring *scoring, float *peak, float *sum,
                  float *out, float *scratch) {
    table()->attend(type, keys, values, count, width, q, rows, visible, scoring, peak, sum, out, scratch);
}

void caked_attend_merge(float *peak, float *sum, float *out, const float *other_peak, const float *other_sum,
                        const float *other_out, size_t rows, size_t width) {
    table()->attend_merge(peak, sum, out, other_peak, other_sum, other_out, rows, width);
}

void caked_attend_finish(const float *sum, float *out, size_t rows, size_t width) {
    table()->attend_finish(sum, out, rows, width);
}

bool caked_bfloat_is_fast(void) { return table()->bfloat_is_fast; }

static size_t whole_words(size_t width) { return (width + 15) / 16 * 16; }

size_t caked_block_query_size(size_t rows, size_t width) {
    return (rows + CAKED_BLOCK_UNIT - 1) / CAKED_BLOCK_UNIT * CAKED_BLOCK_UNIT * whole_words(width);
}

size_t caked_block_state_size(size_t rows, size_t group, size_t width) {
    return (rows + CAKED_BLOCK_UNIT - 1) / CAKED_BLOCK_UNIT * group * CAKED_BLOCK_UNIT * (2 + whole_words(width));
}

size_t caked_block_room_size(size_t width) {
    return CAKED_BLOCK_KEYS * (3 * whole_words(width) + CAKED_BLOCK_UNIT);
}

void caked_block_pack(caked_precision precision, const float *rows, size_t stride, size_t count, size_t width,
                      float *packed) {
    table()->block_pack(precision, rows, stride, count, width, packed);
}

void caked_block_begin(caked_precision precision, size_t rows, size_t group, size_t width, const float *sinks,
                       float *state) {
    table()->block_begin(precision, rows, group, width, sinks, state);
}

void caked_block_attend(caked_precision precision, const float *packed, size_t rows, size_t group, size_t width,
                        caked_type type, const void *keys, const void *values, size_t count, ptrdiff_t first_seen,
                        const caked_scoring *scoring, bool gathers, float *state, float *room) {
    table()->block_attend(precision, packed, rows, group, width, type, keys, values, count, first_seen, scoring,
                          gathers, state, room);
}

void caked_block_finish(caked_precision precision, const float *state, size_t rows, size_t group, size_t width,
                        float *out, size_t stride, float *log_sums, size_t log_sum_stride) {
    table()->block_finish(precision, state, rows, group, width, out, stride, log_sums, log_sum_stride);
}

double caked_observe(caked_precision precision, const float *packed, size_t unit_step, size_t rows, size_t width,
                     caked_type type, const void *keys, size_t count, ptrdiff_t first_seen,
                     const caked_scoring *scoring, const float *log_sums, const caked_change *change, float *mean,
                     float *variance, float *maximum, float *room) {
    return table()->observe(precision, packed, unit_step, rows, width, type, keys, count, first_seen, scoring, log_sums,
                            change, mean, variance, maximum, room);
}

size_t caked_argmax(const float *x, size_t count) { return table()->argmax(x, count); }

bool caked_int8_is_fast(void) { return table()->int8_is_fast; }

size_t caked_panel_bytes(caked_type type, size_t inputs, size_t outputs) {
    size_t groups = (outputs + PANEL_GROUP - 1) / PANEL_GROUP;
    // What is stored as whole blocks is re-tiled as whole blocks.
    if (caked_panel_bits(type) == 0 || caked_bytes(type, inputs) == 0) return 0;
    return groups * caked_panel_group(type, inputs / CAKED_BLOCK);
}

void caked_panel_fill(caked_type type, const void *w, size_t inputs, size_t first, size_t outputs, void *panel) {
    table()->panel_fill(type, w, inputs, first, outputs, panel);
}

size_t caked_int8_rows_bytes(size_t inputs, size_t rows) { return block_bytes(inputs, CAKED_BLOCK, rows * ROW_BYTES); }

void caked_int8_rows(const float *x, size_t x_stride, size_t rows, size_t inputs, void *quantised) {
    table()->int8_rows(x, x_stride, rows, inputs, quantised);
}

void caked_panel_matmul(caked_type type, const void *panel, size_t inputs, size_t outputs, const void *quantised,
                        size_t rows, float *y, size_t y_stride, const float *bias) {
    table()->panel_matmul(type, panel, inputs, outputs, quantised, rows, y, y_stride, bias);
}

void caked_int8_matmul(caked_type type, const void *w, size_t inputs, size_t first, size_t outputs,
                       const void *quantised, size_t rows, float *y, size_t y_stride, const float *bias) {
    table()->int8_matmul(type, w, inputs, first, outputs, quantised, rows, y, y_stride, bias);
}

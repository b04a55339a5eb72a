// The arithmetic of the forward pass: one function per operation, the instruction set chosen once at start.
//
// Every function has a portable twin; caked_kernels_select() points the table at the best variant this CPU runs.
// All matrices are row-major. No function allocates, blocks or reads a global but the table. Counts are elements.
#ifndef CAKED_KERNELS_H
#define CAKED_KERNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Instruction sets a variant may need.
typedef enum {
    CAKED_PORTABLE = 0,
    CAKED_AVX2 = 1,      // AVX2, FMA, F16C
    CAKED_AVX512 = 2,    // AVX-512 F, BW, DQ, VL
    CAKED_NEON = 3,
    CAKED_VNNI = 4,      // AVX-512 as above with VNNI: products of bytes
    CAKED_AVX_VNNI = 5,  // AVX2 as above with VNNI in vectors of 256 bits
    CAKED_BFLOAT16 = 6,  // AVX-512 with VNNI and BF16: products of bytes and of bfloats
} caked_instruction_set;
enum { CAKED_INSTRUCTION_SETS = 7 };

// The best set this CPU and operating system run.
caked_instruction_set caked_kernels_best(void);
// Points the table at `set`; false, and nothing changes, when this CPU cannot run it. Not for use while kernels run.
bool caked_kernels_select(caked_instruction_set set);
// The same for the calling thread alone, until caked_kernels_end_override(): compares sets while other threads compute.
bool caked_kernels_override(caked_instruction_set set);
void caked_kernels_end_override(void);
// The set in use ("avx512"): the one that the variable CAKED_KERNELS named at start, or else the best, or what was
// selected.
const char *caked_kernels_name(void);
// A set's name; NULL when this CPU cannot run it.
const char *caked_kernels_name_of(caked_instruction_set set);
// As caked_kernels_select, by name; false for a name that is none, or no set of this CPU.
bool caked_kernels_select_named(const char *name);

// How elements are stored; the numbers are ggml's type ids, as in a GGUF file.
typedef enum {
    CAKED_F32 = 0,
    CAKED_F16 = 1,
    CAKED_Q4_0 = 2,   // blocks of 32: f16 scale, 16 bytes of nibbles, minus 8
    CAKED_Q4_1 = 3,   // blocks of 32: f16 scale and shift, 16 bytes of nibbles
    CAKED_Q5_0 = 6,   // blocks of 32: f16 scale, 32 fifth bits, 16 bytes of nibbles, minus 16
    CAKED_Q5_1 = 7,   // blocks of 32: f16 scale and shift, 32 fifth bits, 16 bytes of nibbles
    CAKED_Q8_0 = 8,   // blocks of 32: f16 scale, 32 int8
    CAKED_Q4_K = 12,  // blocks of 256: f16 scale and shift, 8 + 8 factors of 6 bits for them, 128 bytes of nibbles
    CAKED_Q5_K = 13,  // the same with 256 fifth bits before the nibbles
    CAKED_Q6_K = 14,  // blocks of 256: 128 bytes of nibbles, 64 of two upper bits, 16 int8 factors, f16 scale, minus 32
    CAKED_BF16 = 30,
    // Unpacked to floats before they are multiplied, but for Q3_K, IQ4_NL, IQ4_XS and MXFP4:
    CAKED_Q2_K = 10,  // blocks of 256: 2 bits each, scales and shifts of 4 bits for each 16
    CAKED_Q3_K = 11,  // blocks of 256: 3 bits each, scales of 6 bits for each 16
    CAKED_IQ4_NL = 20,  // blocks of 32: f16 scale, 4 bits each that choose one of 16 levels
    CAKED_IQ4_XS = 23,  // blocks of 256: the same levels, scales of 6 bits for each 32
    CAKED_MXFP4 = 39,  // blocks of 32: a power of two, 4 bits each of e2m1
    CAKED_TQ1_0 = 34,  // blocks of 256: f16 scale, five or four of -1, 0, 1 in a byte
    CAKED_TQ2_0 = 35,  // blocks of 256: f16 scale, four of -1, 0, 1 in a byte
    CAKED_IQ2_XXS = 16,  // blocks of 256: eight at a time from a lattice (grids.h), as all that follow
    CAKED_IQ2_XS = 17,
    CAKED_IQ2_S = 22,
    CAKED_IQ3_XXS = 18,
    CAKED_IQ3_S = 21,
    CAKED_IQ1_S = 19,
    CAKED_IQ1_M = 29,
    CAKED_Q4 = 256,  // none of ggml's: entries of attention in four bits, keys by channel and values as Q4_1 (below)
} caked_type;

// Bytes of `count` elements stored as `type`; 0 when the type is unknown or `count` no whole number of blocks.
size_t caked_bytes(caked_type type, size_t count);

// dst[count] = src, dequantised exactly as the format says. All types.
void caked_dequantise(caked_type type, const void *src, float *dst, size_t count);
// dst = src quantised: F32, F16 (nearest even), Q8_0 (scale = max|x| / 127 as f16, nearest), Q4_1 (shift = min x, scale
// = (max - min) / 15, both as f16, nearest). False for other types.
bool caked_quantise(caked_type type, const float *src, void *dst, size_t count);

// y[r, o] = bias[o] + sum_i w[o, i] * x[r, i] for r < rows, first <= o < first + outputs: products straight from the
// stored weights, for the few rows of a decode step. `w` points at row 0, each row is caked_bytes(type, inputs) long;
// x has stride x_stride, y (indexed by o, not o - first) y_stride; bias may be NULL. Each weight is read once per four
// rows. y[r, o] is the same to the bit however rows are batched and outputs split, as long as the instruction set is
// the same.
void caked_matmul(caked_type type, const void *w, size_t inputs, size_t first, size_t outputs, const float *x,
                  size_t x_stride, size_t rows, float *y, size_t y_stride, const float *bias);

// Dense products of bytes: quantised weights re-tiled into a panel, activations quantised in blocks of 32, integer sums
// within a block exact. Weights keep their values. y is the same to the bit on every instruction set and however rows
// and outputs are split. Inputs are whole blocks of the type; F32, F16 and BF16 have no panels.
enum { CAKED_PANEL_OUTPUTS = 16, CAKED_INT8_ROWS = 8 };
// Whether the set in use multiplies bytes faster than floats.
bool caked_int8_is_fast(void);
// Bytes of a panel of `outputs` rows of weights, each 16 of them together; 0 when there is none of this type and
// `inputs`.
size_t caked_panel_bytes(caked_type type, size_t inputs, size_t outputs);
// Fills a panel from rows first ..< first + outputs of `w`.
void caked_panel_fill(caked_type type, const void *w, size_t inputs, size_t first, size_t outputs, void *panel);
// Bytes of `rows` quantised rows. They lie in tiles of 8, the last of those that are left: the rows of a tile belong
// together.
size_t caked_int8_rows_bytes(size_t inputs, size_t rows);
// Quantises x[rows, inputs] (stride): scale = max|x| / 127 per block of 32.
void caked_int8_rows(const float *x, size_t x_stride, size_t rows, size_t inputs, void *quantised);
// y[r, o] = bias[o] + sum_i w[o, i] * x[r, i] for r < rows, o < outputs; bias may be NULL. Some outputs of a panel
// start at a multiple of 16 outputs' bytes.
void caked_panel_matmul(caked_type type, const void *panel, size_t inputs, size_t outputs, const void *quantised,
                        size_t rows, float *y, size_t y_stride, const float *bias);
// The same bits straight from the stored weights: y[r, o] for first <= o < first + outputs, `w` and `bias` indexed like
// y.
void caked_int8_matmul(caked_type type, const void *w, size_t inputs, size_t first, size_t outputs,
                       const void *quantised, size_t rows, float *y, size_t y_stride, const float *bias);

// y = x / sqrt(mean(x^2) + epsilon) * weight; y may be x.
void caked_rms_norm(const float *x, const float *weight, float epsilon, float *y, size_t count);
// y += x.
void caked_add(const float *x, float *y, size_t count);
// gate = silu(gate) * up, silu(x) = x / (1 + e^-x).
void caked_swiglu(float *gate, const float *up, size_t count);
// gate = gelu(gate) * up, gelu(x) = x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 x^3))).
void caked_geglu(float *gate, const float *up, size_t count);
// gate = g / (1 + e^-1.702g) * (u + 1), g = min(gate, 7), u = up held in -7 ... 7: gpt-oss.
void caked_clamped_swiglu(float *gate, const float *up, size_t count);
// x = cap * tanh(x / cap).
void caked_soft_cap(float *x, float cap, size_t count);
// Rotates the first 2 * half elements of one head in place by cosines[half], sines[half].
// Interleaved: pairs (2i, 2i + 1), as GGUF llama. Neox: pairs (i, i + half), as qwen2.
void caked_rope_interleaved(float *head, const float *cosines, const float *sines, size_t half);
void caked_rope_neox(float *head, const float *cosines, const float *sines, size_t half);

// Entries of one KV head as attention reads them: F32, F16 and Q8_0 keys and values lie row after row. Keys have
// outlier channels (KIVI, arXiv 2402.02750), so keys of CAKED_Q4 have a scale and a centre for each channel of
// CAKED_KEY_GROUP entries:
//
//     scale f16[width], centre f16[width], and for each entry of the group 16 bytes of nibbles per 32 channels, as in Q4_0
//
// key = scale * (nibble - 8) + centre, rounded once. The last group is as long as it has entries, so that dropping the
// last entries drops the last bytes. Values of CAKED_Q4 are Q4_1, row after row. `width` is a whole number of blocks.
enum { CAKED_KEY_GROUP = 32 };
// Bytes of the keys of `count` entries of which the first begins a group, and of their values; 0 where there are none
// such.
size_t caked_key_bytes(caked_type type, size_t count, size_t width);
size_t caked_value_bytes(caked_type type, size_t count, size_t width);
// dst = keys, or values, [count, width] as entries of F32, F16, Q8_0 or Q4 lie. False for other types.
bool caked_quantise_keys(caked_type type, const float *keys, size_t count, size_t width, void *dst);
bool caked_quantise_values(caked_type type, const float *values, size_t count, size_t width, void *dst);
// The way back, [count, width], exactly.
void caked_dequantise_keys(caked_type type, const void *keys, size_t count, size_t width, float *dst);
void caked_dequantise_values(caked_type type, const void *values, size_t count, size_t width, float *dst);

// What becomes of scores before the softmax.
typedef struct {
    float cap;                  // cap * tanh(score / cap); 0: they stay as they are
    const uint32_t *positions;  // of the entries; NULL: they follow one another from first_position on
    ptrdiff_t first_position;
    ptrdiff_t oldest;           // the first position that the first row sees; each later one's is one later
    size_t heads;               // rows that stand at one position, one after the other; blockwise it is 1
} caked_scoring;

// Attention of a few query rows over `count` stored entries of one KV head, folded into running softmax state.
// q[rows, width] is already scaled by 1 / sqrt(width); keys, values [count, width] stored as F32, F16, Q8_0 or Q4
// entries. State per query row: peak[r] (running maximum, start -INFINITY), sum[r] (start 0), out[r, width] (start 0,
// unnormalised). visible[r] entries are seen by row r (at most count); NULL: all of them. `scoring` may be NULL.
// `scratch` holds rows * CAKED_ATTEND_TILE floats.
#define CAKED_ATTEND_TILE 64
void caked_attend(caked_type type, const void *keys, const void *values, size_t count, size_t width, const float *q,
                  size_t rows, const uint32_t *visible, const caked_scoring *scoring, float *peak, float *sum,
                  float *out, float *scratch);
// Folds one running state into another: the same softmax over both sets of entries.
void caked_attend_merge(float *peak, float *sum, float *out, const float *other_peak, const float *other_sum,
                        const float *other_out, size_t rows, size_t width);
// out[r] /= sum[r].
void caked_attend_finish(const float *sum, float *out, size_t rows, size_t width);

// Blockwise attention of many rows: consecutive positions of the `group` query heads of one KV head. Positions come in
// units of CAKED_BLOCK_UNIT per head, unit p of head j at p * group + j. With CAKED_BFLOAT queries, keys, weights and
// values are rounded to bfloats before they are multiplied, and summed as floats.
typedef enum { CAKED_FLOAT, CAKED_BFLOAT } caked_precision;
enum { CAKED_BLOCK_UNIT = 48, CAKED_BLOCK_KEYS = 64 };
// Whether the set in use multiplies bfloats faster than floats.
bool caked_bfloat_is_fast(void);
// Floats of one head's packed queries, of the running state, and of the room that a call works in.
size_t caked_block_query_size(size_t rows, size_t width);
size_t caked_block_state_size(size_t rows, size_t group, size_t width);
size_t caked_block_room_size(size_t width);
// Packs at most CAKED_BLOCK_UNIT rows [count, width] (stride), scaled queries of one head, into a unit.
void caked_block_pack(caked_precision precision, const float *rows, size_t stride, size_t count, size_t width,
                      float *packed);
// Empties the state of all units. sinks[group]: a score of each head that has no entry and no value; NULL: there is
// none.
void caked_block_begin(caked_precision precision, size_t rows, size_t group, size_t width, const float *sinks,
                       float *state);
// Folds `count` stored entries [count, width] into the state, F32, F16, Q8_0 or Q4. Position i sees first_seen + i of
// them, at most all, none when that is negative. `scoring` may be NULL. `gathers`: whether the values are read, or
// normalisers alone are wanted.
void caked_block_attend(caked_precision precision, const float *packed, size_t rows, size_t group, size_t width,
                        caked_type type, const void *keys, const void *values, size_t count, ptrdiff_t first_seen,
                        const caked_scoring *scoring, bool gathers, float *state, float *room);
// Writes out[position, head, width] (stride per position; NULL: not), 0 where nothing was seen, and log_sums[head,
// position] (stride per head; NULL: not), ln of the sum of e^score.
void caked_block_finish(caked_precision precision, const float *state, size_t rows, size_t group, size_t width,
                        float *out, size_t stride, float *log_sums, size_t log_sum_stride);

// What judges an entry by the change that evicting it would make to a row: row_scales[r] * A / (1 - A) * |o - v|, with
// lengths taken in some inner product M. Near A = 1, where |o - v| is rounding error, |v| stands in for |o - v| / (1 -
// A).
typedef struct {
    const float *mapped;         // M o of each row, packed as queries of CAKED_FLOAT; units mapped_step floats apart
    size_t mapped_step;
    const float *out_squares;    // <o, o> of each row
    const float *row_scales;
    const void *values;          // the tile's stored values
    const float *value_squares;  // <v, v> of each key
} caked_change;
// Statistics of observed attention over a tile of at most CAKED_BLOCK_KEYS keys: A = e^(score - log_sum[r]) of one
// query head, whose packed units are unit_step floats apart. Position i sees first_seen + i of the keys, as above, and
// those that `scoring` hides from it count with A = 0.
// Writes for each key the mean over the rows and the unbiased variance (0 for one row); raises maximum[key] to the
// largest A, or to the largest change where `change` is given. Returns the sum over rows and keys of -A ln A (CAKE's
// entropy; 0 where A is 0).
double caked_observe(caked_precision precision, const float *packed, size_t unit_step, size_t rows, size_t width,
                     caked_type type, const void *keys, size_t count, ptrdiff_t first_seen,
                     const caked_scoring *scoring, const float *log_sums, const caked_change *change, float *mean,
                     float *variance, float *maximum, float *room);

// Index of the largest element, the first of equals.
size_t caked_argmax(const float *x, size_t count);

#endif

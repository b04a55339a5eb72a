// The table of one instruction set: a pointer for each operation of caked_kernels.h, filled in by table_of.h.
#ifndef CAKED_TABLE_H
#define CAKED_TABLE_H

#include "caked_kernels.h"

// Elements of a block, and bytes of one of each type; the terms of a sum are the fields of ggml's struct.
enum {
    CAKED_BLOCK = 32,
    CAKED_Q4_0_BYTES = 2 + 16,
    CAKED_Q4_1_BYTES = 2 + 2 + 16,
    CAKED_Q5_0_BYTES = 2 + 4 + 16,
    CAKED_Q5_1_BYTES = 2 + 2 + 4 + 16,
    CAKED_Q8_0_BYTES = 2 + 32,
    CAKED_K_BLOCK = 256,
    CAKED_Q4_K_BYTES = 2 + 2 + 12 + 128,
    CAKED_Q5_K_BYTES = 2 + 2 + 12 + 32 + 128,
    CAKED_Q6_K_BYTES = 128 + 64 + 16 + 2,
    CAKED_Q2_K_BYTES = 16 + 64 + 2 + 2,
    CAKED_Q3_K_BYTES = 32 + 64 + 12 + 2,
    CAKED_IQ4_NL_BYTES = 2 + 16,
    CAKED_IQ4_XS_BYTES = 2 + 2 + 4 + 128,
    CAKED_MXFP4_BYTES = 1 + 16,
    CAKED_TQ1_0_BYTES = 48 + 4 + 2,
    CAKED_TQ2_0_BYTES = 64 + 2,
    CAKED_IQ2_XXS_BYTES = 2 + 64,
    CAKED_IQ2_XS_BYTES = 2 + 64 + 8,
    CAKED_IQ2_S_BYTES = 2 + 32 + 32 + 8 + 8,
    CAKED_IQ3_XXS_BYTES = 2 + 64 + 32,
    CAKED_IQ3_S_BYTES = 2 + 64 + 8 + 32 + 4,
    CAKED_IQ1_S_BYTES = 2 + 32 + 16,
    CAKED_IQ1_M_BYTES = 32 + 16 + 8,
};

typedef struct {
    const char *name;
    bool int8_is_fast;
    bool bfloat_is_fast;
    void (*dequantise)(caked_type, const void *, float *, size_t);
    bool (*quantise)(caked_type, const float *, void *, size_t);
    bool (*quantise_keys)(caked_type, const float *, size_t, size_t, void *);
    void (*dequantise_keys)(caked_type, const void *, size_t, size_t, float *);
    void (*matmul)(caked_type, const void *, size_t, size_t, size_t, const float *, size_t, size_t, float *, size_t,
                   const float *);
    void (*rms_norm)(const float *, const float *, float, float *, size_t);
    void (*add)(const float *, float *, size_t);
    void (*swiglu)(float *, const float *, size_t);
    void (*geglu)(float *, const float *, size_t);
    void (*clamped_swiglu)(float *, const float *, size_t);
    void (*soft_cap)(float *, float, size_t);
    void (*rope_interleaved)(float *, const float *, const float *, size_t);
    void (*rope_neox)(float *, const float *, const float *, size_t);
    void (*attend)(caked_type, const void *, const void *, size_t, size_t, const float *, size_t, const uint32_t *,
                   const caked_scoring *, float *, float *, float *, float *);
    void (*attend_merge)(float *, float *, float *, const float *, const float *, const float *, size_t, size_t);
    void (*attend_finish)(const float *, float *, size_t, size_t);
    void (*block_pack)(caked_precision, const float *, size_t, size_t, size_t, float *);
    void (*block_begin)(caked_precision, size_t, size_t, size_t, const float *, float *);
    void (*block_attend)(caked_precision, const float *, size_t, size_t, size_t, caked_type, const void *, const void *,
                         size_t, ptrdiff_t, const caked_scoring *, bool, float *, float *);
    void (*block_finish)(caked_precision, const float *, size_t, size_t, size_t, float *, size_t, float *, size_t);
    double (*observe)(caked_precision, const float *, size_t, size_t, size_t, caked_type, const void *, size_t, ptrdiff_t,
                      const caked_scoring *, const float *, const caked_change *, float *, float *, float *, float *);
    size_t (*argmax)(const float *, size_t);
    void (*panel_fill)(caked_type, const void *, size_t, size_t, size_t, void *);
    void (*int8_rows)(const float *, size_t, size_t, size_t, void *);
    void (*int8_matmul)(caked_type, const void *, size_t, size_t, size_t, const void *, size_t, float *, size_t,
                        const float *);
    void (*panel_matmul)(caked_type, const void *, size_t, size_t, const void *, size_t, float *, size_t, const float *);
} caked_table;

// How the values of entries are stored: only keys have a layout of their own.
static inline caked_type caked_value_type(caked_type type) { return type == CAKED_Q4 ? CAKED_Q4_1 : type; }

extern const caked_table caked_portable;
#if defined(__x86_64__)
extern const caked_table caked_avx2;
extern const caked_table caked_avx_vnni;
extern const caked_table caked_avx512;
extern const caked_table caked_vnni;
extern const caked_table caked_bfloat;
#elif defined(__aarch64__)
extern const caked_table caked_neon;
#endif

#endif

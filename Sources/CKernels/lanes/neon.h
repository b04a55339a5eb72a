// Four lanes of NEON, part of every 64-bit ARM.
#define LANES 4
// table[index] for 16 bytes of each.
#define CAKED_CHOOSE(table, index) vqtbl1q_u8((uint8x16_t)(table), (uint8x16_t)(index))
// Rows of a product that are held in registers beside three vectors.
#define SIDE 8

typedef float32x4_t lanes;
typedef uint32x4_t bits;

INLINE lanes v_set(float x) { return vdupq_n_f32(x); }
INLINE lanes v_load(const float *p) { return vld1q_f32(p); }
INLINE void v_store(float *p, lanes v) { vst1q_f32(p, v); }

// The first n < LANES elements, `fill` in the others.
INLINE lanes v_load_first(const float *p, size_t n, float fill) {
    lanes v = v_set(fill);
    for (size_t i = 0; i < n; i++) v[i] = p[i];
    return v;
}

INLINE void v_store_first(float *p, lanes v, size_t n) {
    for (size_t i = 0; i < n; i++) p[i] = v[i];
}

INLINE lanes v_fma(lanes a, lanes b, lanes c) { return vfmaq_f32(c, a, b); }

// Where one of the two is NaN: b.
INLINE lanes v_max(lanes a, lanes b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
INLINE bool v_exceeds(lanes a, lanes b) { return vmaxvq_u32(vcgtq_f32(a, b)) != 0; }
INLINE float v_sum(lanes v) { return vaddvq_f32(v); }

INLINE void v_sum4(float *p, lanes a, lanes b, lanes c, lanes d) {
    vst1q_f32(p, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}

INLINE float v_max_of(lanes v) { return vmaxvq_f32(v); }

INLINE lanes v_load_half(const uint8_t *p) {
    return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p)));
}

INLINE void v_store_half(uint8_t *p, lanes v) { vst1_u8(p, vreinterpret_u8_f16(vcvt_f16_f32(v))); }
INLINE lanes v_set_half(const uint8_t *p) { return vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(caked_load16(p)))); }

INLINE lanes v_load_bfloat(const uint8_t *p) {
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
}

INLINE uint8x8_t v_four_bytes(const uint8_t *p) {
    uint32_t four;
    memcpy(&four, p, sizeof four);
    return vreinterpret_u8_u32(vdup_n_u32(four));
}

INLINE lanes v_widen(int8x8_t bytes) { return vcvtq_f32_s32(vmovl_s16(vget_low_s16(vmovl_s8(bytes)))); }
INLINE lanes v_load_int8(const uint8_t *p) { return v_widen(vreinterpret_s8_u8(v_four_bytes(p))); }

INLINE lanes v_nibble(uint8x8_t nibbles) { return v_widen(vsub_s8(vreinterpret_s8_u8(nibbles), vdup_n_s8(8))); }
INLINE lanes v_load_low(const uint8_t *p) { return v_nibble(vand_u8(v_four_bytes(p), vdup_n_u8(15))); }
INLINE lanes v_load_high(const uint8_t *p) { return v_nibble(vshr_n_u8(v_four_bytes(p), 4)); }

#include "levels.h"
#include "transpose.h"

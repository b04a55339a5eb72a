// The values quants stand for, scale * quant + shift, computed: where no register holds a table of 16.
typedef struct {
    lanes scale, shift;
} levels;

INLINE levels v_levels(float scale, float shift) { return (levels){v_set(scale), v_set(shift)}; }

INLINE lanes v_level(levels l, bits quants) {
    typedef int32_t integers __attribute__((vector_size(4 * LANES)));
    return v_fma(l.scale, __builtin_convertvector((integers)quants, lanes), l.shift);
}

// What the low four, or five, bits of each quant stand for.
INLINE lanes v_level4(levels l, bits quants) { return v_level(l, quants & 15); }
INLINE lanes v_level5(levels l, bits quants) { return v_level(l, quants & 31); }

// Runs of products of bytes where v_dot4 adds four at once to a sum of 32 bits: the run is the sum.

// A sum in the making, begun with what there is already and ended as a sum.
typedef integers dots;
// Quads of four quants of at most `largest` that a run may hold.
INLINE int v_dot_quads(int largest) { return (void)largest, CAKED_BLOCK / 4; }
INLINE dots v_dot_begin(integers sum) { return sum; }
INLINE integers v_dot_end(integers sum, dots run) { return (void)sum, run; }

// As v_dot4 with w - 128 for w, of any byte, over all products between a start and the end; `zero` is their sum of x,
// times -128.
INLINE integers v_dot8_start(const uint8_t *zero) { return (integers){0} + (int32_t)load32(zero); }
INLINE dots v_dot8(dots run, quads w, uint32_t x) { return v_dot4(run, w, x); }

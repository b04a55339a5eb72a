// Runs of products of bytes where the CPU adds products of unsigned and signed bytes in pairs of 16 bits (v_pairs), and
// such pairs in fours (v_fours). A run is added up in pairs for as long as they fit, since a pair saturates.
//
// Rows are quantised to -127 ... 127, so a pair of quants of at most L is at most 2 * 127 * L, n quads of them n times
// that, and 16 bits hold 32,767:
//
//     four bits     L = 15    8 quads, all of a block    30,480
//     five bits     L = 31    4 quads                    31,496
//     six bits      L = 63    2 quads                    32,004
//     MXFP4         L = 12    8 quads                    24,384
//     other levels  L = 127   1 quad                     32,258
//     eight bits    L = 128   1 quad                     32,512
//
// Quants of eight bits would not fit as unsigned bytes (255 * 127 * 2), so they are signed, and their sign goes over to
// x.

#define CAKED_PAIR_SUMS

// A run: sums of pairs. What it is begun with is added at its end.
typedef int16_pairs dots;
// Quads of four quants of at most `largest` that a run may hold: a power of two for the types there are.
INLINE int v_dot_quads(int largest) {
    return INT16_MAX / (2 * 127 * largest) < CAKED_BLOCK / 4 ? INT16_MAX / (2 * 127 * largest) : CAKED_BLOCK / 4;
}

INLINE dots v_dot_begin(integers sum) { return (void)sum, (dots){0}; }
INLINE integers v_dot_end(integers sum, dots run) { return sum + v_fours(run, (int16_pairs){0} + 1); }
// The same times a factor, which stands in both halves of a place.
INLINE integers v_dot_end_times(integers sum, dots run, int16_pairs factor) { return sum + v_fours(run, factor); }
// sum[i] + w[2 * i] * x[0] + w[2 * i + 1] * x[1], of 16 bits.
INLINE integers v_dot2(integers sum, int16_pairs w, uint32_t x) {
    return sum + v_fours(w, (int16_pairs)((integers){0} + (int32_t)x));
}

// run[i] + w[4 * i] * x[0] + ... + w[4 * i + 3] * x[3], with w unsigned and below 64, x signed.
INLINE dots v_dot4(dots run, quads w, uint32_t x) { return run + v_pairs(w, (quads)((integers){0} + (int32_t)x)); }

// The same with w - 128 for w, of any byte.
INLINE integers v_dot8_start(const uint8_t *zero) { return (void)zero, (integers){0}; }
INLINE dots v_dot8(dots run, quads w, uint32_t x) {
    quads quants = w ^ 128;
    return run + v_pairs(v_magnitudes(quants), v_move_sign((quads)((integers){0} + (int32_t)x), quants));
}

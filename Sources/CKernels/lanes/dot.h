// Sums of four products of bytes, computed with shifts: where the CPU has no instruction for them.

// sum[i] + w[4 * i] * x[0] + ... + w[4 * i + 3] * x[3], with w unsigned and below 64, x signed.
INLINE integers v_dot4(integers sum, quads w, uint32_t x) {
    integers quants = (integers)w;
    sum += (quants & 255) * (int8_t)x;
    sum += (quants >> 8 & 255) * (int8_t)(x >> 8);
    sum += (quants >> 16 & 255) * (int8_t)(x >> 16);
    return sum + (quants >> 24 & 255) * (int8_t)(x >> 24);
}

// The same with w - 128 for w, of any byte, over all products between a start and the end; `zero` is their sum of x,
// times -128.
INLINE integers v_dot8_start(const uint8_t *zero) { return (integers){0} + (int32_t)load32(zero); }
INLINE integers v_dot8(integers sum, quads w, uint32_t x) { return v_dot4(sum, w, x); }

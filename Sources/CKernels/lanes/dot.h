// Sums of four products of bytes, computed with shifts: where the CPU has no instruction for them.

// sum[i] + x[0] * w[4 * i] + ... + x[3] * w[4 * i + 3], with x unsigned and w signed.
INLINE integers v_dot4(integers sum, uint32_t x, const uint8_t *w) {
    integers quants;
    memcpy(&quants, w, sizeof quants);
    sum += (quants << 24 >> 24) * (int32_t)(x & 255);
    sum += (quants << 16 >> 24) * (int32_t)(x >> 8 & 255);
    sum += (quants << 8 >> 24) * (int32_t)(x >> 16 & 255);
    return sum + (quants >> 24) * (int32_t)(x >> 24);
}

// Groups are re-tiled output by output.
enum { GROUP_IN_REGISTERS = 0 };
INLINE void group_q8_0(const uint8_t *w, size_t row_bytes, size_t first, size_t blocks, uint8_t *to) {
    (void)w, (void)row_bytes, (void)first, (void)blocks, (void)to;
}
INLINE void group_q4_0(const uint8_t *w, size_t row_bytes, size_t first, size_t blocks, uint8_t *to) {
    (void)w, (void)row_bytes, (void)first, (void)blocks, (void)to;
}
INLINE void group_bytes(const uint8_t *p, size_t stride, uint8_t *to) { (void)p, (void)stride, (void)to; }

// Words of two bfloats each, and sums of their products, with integer operations: where the CPU has no instruction.

// The nearest bfloat of each element, even at ties, in the upper half of its word.
INLINE bits v_nearest_bfloat(lanes x) {
    bits b = (bits)x;
    return (b + 0x7fff + (b >> 16 & 1)) & 0xffff0000;
}

// Words of `first` in the lower and `second` in the upper half.
INLINE lanes v_pair(lanes first, lanes second) {
    return (lanes)(v_nearest_bfloat(first) >> 16 | v_nearest_bfloat(second));
}

// sum + the products of the lower and of the upper halves.
INLINE lanes v_dot_bfloat(lanes sum, lanes a, lanes b) {
    sum = v_fma((lanes)((bits)a & 0xffff0000), (lanes)((bits)b & 0xffff0000), sum);
    return v_fma((lanes)((bits)a << 16), (lanes)((bits)b << 16), sum);
}

// words[count] of 2 * count consecutive floats.
INLINE void bfloat_words(const float *x, size_t count, float *words) {
    for (size_t i = 0; i < count; i++) {
        uint32_t b[2];
        memcpy(b, x + 2 * i, sizeof b);
        for (int k = 0; k < 2; k++) b[k] += 0x7fff + (b[k] >> 16 & 1);
        uint32_t word = b[0] >> 16 | (b[1] & 0xffff0000);
        memcpy(words + i, &word, sizeof word);
    }
}

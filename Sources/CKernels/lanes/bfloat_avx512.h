// Words of two bfloats each, and sums of their products, in the instructions of AVX-512 BF16.

// Words of `first` in the lower and `second` in the upper half.
INLINE lanes v_pair(lanes first, lanes second) {
    const __m512i zip = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23, 7, 22, 6, 21,
                                         5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    return (lanes)_mm512_permutexvar_epi16(zip, (__m512i)_mm512_cvtne2ps_pbh(second, first));
}

// sum + the products of the lower and of the upper halves.
INLINE lanes v_dot_bfloat(lanes sum, lanes a, lanes b) {
    return _mm512_dpbf16_ps(sum, (__m512bh)a, (__m512bh)b);
}

// words[count] of 2 * count consecutive floats.
INLINE void bfloat_words(const float *x, size_t count, float *words) {
    for (size_t i = 0; i < count; i += LANES) {
        size_t n = count - i < LANES ? count - i : LANES, low = 2 * n < LANES ? 2 * n : LANES;
        lanes a = low == LANES ? v_load(x + 2 * i) : v_load_first(x + 2 * i, low, 0);
        lanes b = n == LANES ? v_load(x + 2 * i + LANES) : v_load_first(x + 2 * i + low, 2 * n - low, 0);
        lanes w = (lanes)_mm512_cvtne2ps_pbh(b, a);
        if (n == LANES) v_store(words + i, w);
        else v_store_first(words + i, w, n);
    }
}

// A running softmax, row by row.

INLINE size_t seen(const uint32_t *visible, size_t row, size_t before, size_t count) {
    if (visible == NULL) return count;
    size_t total = visible[row];
    return total <= before ? 0 : total - before < count ? total - before : count;
}

INLINE void scale_row(float *row, float factor, size_t count) {
    for (size_t i = 0; i < count; i++) row[i] *= factor;
}

// Folds scores[count] into one row's running softmax and turns them into weights e^(score - peak).
INLINE void softmax_row(float *scores, size_t count, float *peak, float *sum, float *out, size_t width) {
    lanes largest = v_set(*peak);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) largest = v_max(v_load(scores + i), largest);
    float top = v_max_of(v_max(v_load_first(scores + i, count - i, -INFINITY), largest));
    if (top == -INFINITY) {  // nothing seen so far: no weight, and nothing to rescale
        for (i = 0; i < count; i++) scores[i] = 0;
        return;
    }
    lanes tops = v_set(top), total = v_set(0);
    for (i = 0; i + LANES <= count; i += LANES) {
        lanes weights = v_exp(v_load(scores + i) - tops);
        v_store(scores + i, weights);
        total = total + weights;
    }
    if (i < count) {
        lanes weights = v_exp(v_load_first(scores + i, count - i, -INFINITY) - tops);
        v_store_first(scores + i, weights, count - i);
        total = total + weights;
    }
    if (top == *peak) {  // as most often: what was summed so far keeps its scale
        *sum += v_sum(total);
        return;
    }
    float correction = one_exp(*peak - top);
    scale_row(out, correction, width);
    *sum = *sum * correction + v_sum(total);
    *peak = top;
}

// The operations between the products: RMS norm, residual, gates, soft caps, rotary embedding, argmax.

static void rms_norm(const float *x, const float *weight, float epsilon, float *y, size_t count) {
    if (count == 0) return;
    lanes sum = v_set(0);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) sum = v_fma(v_load(x + i), v_load(x + i), sum);
    lanes rest = v_load_first(x + i, count - i, 0);
    float mean = v_sum(v_fma(rest, rest, sum)) / (float)count;
    float scale = 1 / __builtin_sqrtf(mean + epsilon);
    for (i = 0; i < count; i++) y[i] = x[i] * scale * weight[i];
}

static void add(const float *x, float *y, size_t count) {
    for (size_t i = 0; i < count; i++) y[i] += x[i];
}

INLINE lanes silu(lanes x) { return x / (v_set(1) + v_exp(-x)); }

static void swiglu(float *gate, const float *up, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) v_store(gate + i, silu(v_load(gate + i)) * v_load(up + i));
    size_t rest = count - i;
    v_store_first(gate + i, silu(v_load_first(gate + i, rest, 0)) * v_load_first(up + i, rest, 0), rest);
}

// (1 + tanh y) / 2 = 1 / (1 + e^-2y).
INLINE lanes gelu(lanes x) {
    lanes y = v_set(1.5957691216f) * x * v_fma(v_set(0.044715f) * x, x, v_set(1));
    return x / (v_set(1) + v_exp(-y));
}

static void geglu(float *gate, const float *up, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) v_store(gate + i, gelu(v_load(gate + i)) * v_load(up + i));
    size_t rest = count - i;
    v_store_first(gate + i, gelu(v_load_first(gate + i, rest, 0)) * v_load_first(up + i, rest, 0), rest);
}

// Held in -7 ... 7, not a number as it is: v_max gives its second operand then.
INLINE lanes at_most_seven(lanes x) { return -v_max(v_set(-7), -x); }

INLINE lanes clamped_gate(lanes gate, lanes up) {
    gate = at_most_seven(gate);
    up = v_max(v_set(-7), at_most_seven(up));
    return gate / (v_set(1) + v_exp(v_set(-1.702f) * gate)) * (up + v_set(1));
}

static void clamped_swiglu(float *gate, const float *up, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) v_store(gate + i, clamped_gate(v_load(gate + i), v_load(up + i)));
    size_t rest = count - i;
    v_store_first(gate + i, clamped_gate(v_load_first(gate + i, rest, 0), v_load_first(up + i, rest, 0)), rest);
}

static void soft_cap(float *x, float cap, size_t count) {
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) v_store(x + i, v_soft_cap(v_load(x + i), cap));
    size_t rest = count - i;
    v_store_first(x + i, v_soft_cap(v_load_first(x + i, rest, 0), cap), rest);
}

static void rope_interleaved(float *head, const float *cosines, const float *sines, size_t half) {
    for (size_t i = 0; i < half; i++) {
        float x = head[2 * i], y = head[2 * i + 1];
        head[2 * i] = x * cosines[i] - y * sines[i];
        head[2 * i + 1] = x * sines[i] + y * cosines[i];
    }
}

static void rope_neox(float *head, const float *cosines, const float *sines, size_t half) {
    for (size_t i = 0; i < half; i++) {
        float x = head[i], y = head[half + i];
        head[i] = x * cosines[i] - y * sines[i];
        head[half + i] = x * sines[i] + y * cosines[i];
    }
}

// NaN is never the largest.
static size_t argmax(const float *x, size_t count) {
    lanes largest = v_set(-INFINITY);
    size_t i = 0;
    for (; i + LANES <= count; i += LANES) largest = v_max(v_load(x + i), largest);
    float peak = v_max_of(v_max(v_load_first(x + i, count - i, -INFINITY), largest));
    for (i = 0; i < count; i++) {
        if (x[i] == peak) return i;
    }
    return 0;
}

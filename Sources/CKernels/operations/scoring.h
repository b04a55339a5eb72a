// What becomes of scores before the softmax: soft caps, and entries that lie behind a row's window.

// cap * tanh(x / cap), within 1e-7 of cap.
INLINE lanes v_soft_cap(lanes x, float cap) {
    lanes share = x * v_set(1 / cap);
    lanes rest = v_exp(v_set(-2) * v_max(share, -share));
    bits magnitude = (bits)(v_set(cap) * (v_set(1) - rest) / (v_set(1) + rest));
    return (lanes)(magnitude | ((bits)x & 0x80000000));
}

// Where an entry stands.
INLINE ptrdiff_t position_of(const caked_scoring *scoring, size_t entry) {
    return scoring->positions ? (ptrdiff_t)scoring->positions[entry] : scoring->first_position + (ptrdiff_t)entry;
}

// Turns rows of scores [CAKED_ATTEND_TILE] of `count` entries from `before` on into what the softmax takes; the first
// of them is row `first` of those that `scoring` speaks of.
static void rescore_tile(const caked_scoring *scoring, float *scores, size_t first, size_t rows, size_t before,
                         size_t count) {
    if (scoring == NULL) return;
    for (size_t r = 0; r < rows; r++, scores += CAKED_ATTEND_TILE) {
        if (scoring->cap > 0) {
            for (size_t e = 0; e < CAKED_ATTEND_TILE; e += LANES) v_store(scores + e, v_soft_cap(v_load(scores + e), scoring->cap));
        }
        ptrdiff_t oldest = scoring->oldest + (ptrdiff_t)((first + r) / scoring->heads);
        for (size_t e = 0; e < count; e++) {
            if (position_of(scoring, before + e) < oldest) scores[e] = -INFINITY;
        }
    }
}

// The same for a unit of blockwise attention, whose rows are positions and lie in lanes.
typedef struct {
    float cap;                       // in the unit of the scores
    float rows[CAKED_BLOCK_UNIT];    // 1 less the oldest position that each row sees: exact, contexts being below 2^24
    float keys[CAKED_BLOCK_KEYS];    // less the position of each key of the tile; 0 behind them, which limits hide
} unit_scoring;

// Takes up the tile's keys; false where no row from `first` on sees any of them.
static bool scoring_of_tile(const caked_scoring *scoring, float scale, size_t before, size_t count, size_t first,
                            unit_scoring *unit) {
    unit->cap = scoring->cap * scale;
    ptrdiff_t oldest = scoring->oldest + (ptrdiff_t)first, newest = -1;
    for (size_t i = 0; i < CAKED_BLOCK_UNIT; i++) unit->rows[i] = (float)(1 - oldest - (ptrdiff_t)i);
    for (size_t e = 0; e < CAKED_BLOCK_KEYS; e++) {
        ptrdiff_t position = e < count ? position_of(scoring, before + e) : 0;
        unit->keys[e] = (float)-position;
        if (position > newest) newest = position;
    }
    return newest >= oldest;
}

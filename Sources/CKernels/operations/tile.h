// What attention over stored entries takes at a time.

// Rows that share what is loaded, and elements of a width that are worked on at once.
enum { ROWS = 4, PIECE = 256 };

// Up to CAKED_ATTEND_TILE stored keys or values. Keys by channel have no entry_bytes.
typedef struct {
    caked_type type;
    const uint8_t *stored;
    size_t entry_bytes, count, width;
} tile;

// Folds a tile's scores into the rows' softmax and turns them into weights.
INLINE void softmax_tile(float *scores, size_t rows, const uint32_t *visible, size_t before, size_t count, float *peak,
                         float *sum, float *out, size_t width) {
    for (size_t r = 0; r < rows; r++) {
        softmax_row(scores + r * CAKED_ATTEND_TILE, seen(visible, r, before, count), peak + r, sum + r, out + r * width,
                    width);
    }
}

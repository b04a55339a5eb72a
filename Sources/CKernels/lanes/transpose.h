// Transposes a square of LANES vectors in place.
INLINE void v_transpose(lanes *square) {
    for (int i = 0; i < LANES; i++) {
        for (int k = i + 1; k < LANES; k++) {
            float x = square[i][k];
            square[i][k] = square[k][i];
            square[k][i] = x;
        }
    }
}

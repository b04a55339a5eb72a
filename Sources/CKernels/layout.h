// How a panel of weights lies in memory, and quantised rows.
//
// A panel holds groups of 16 outputs; of each group, block of 32 inputs after block of 32 inputs:
//
//     8 times 16 outputs' next four quants, unsigned; of 8 bits, or 4 with quants k and k + 4 in a byte, then 5th and 6th bits:
//     bit k of a byte is that of quants k, and two bits of a byte those of quants k % 4
//     types of blocks of 32: 16 scales (f16), and 16 shifts (f16) where the type has them
//     K types: 16 factors of the scales and 16 of the shifts (or of the second half's scales) as bytes; before the first of
//     each 8 blocks, 16 scales (f16), and 16 scales of the shifts (f16) where the type has them
//
// So a panel is as large as the stored weights, Q4_K and Q5_K a thirtieth larger, and is read from its begin to its
// end.
//
// Rows lie in tiles of 8, the last of as many as are left; of a tile of n, for each block of inputs: n times 32 signed
// quants, n scales (f32), n times the quants' sum * -128, n times the sums of both halves * -1 (i16), n times scale * sum
// (f32).
#ifndef CAKED_LAYOUT_H
#define CAKED_LAYOUT_H

#include "table.h"

enum {
    PANEL_GROUP = CAKED_PANEL_OUTPUTS,
    PANEL_ROWS = CAKED_INT8_ROWS,
    PANEL_PIECE = CAKED_K_BLOCK / CAKED_BLOCK,  // blocks that are re-tiled at once: a whole block of any type
    PANEL_HALVES = 2 * PANEL_GROUP,             // bytes of a group's half floats
    ROW_BYTES = CAKED_BLOCK + 4 * 4,            // of one row and block
};

// Bits of a quant in a panel; 0 for types that have no panel.
static inline int caked_panel_bits(caked_type type) {
    switch (type) {
        case CAKED_Q4_0:
        case CAKED_Q4_1:
        case CAKED_Q4_K: return 4;
        case CAKED_Q5_0:
        case CAKED_Q5_1:
        case CAKED_Q5_K: return 5;
        case CAKED_Q3_K:
        case CAKED_Q6_K: return 6;
        case CAKED_IQ4_NL:
        case CAKED_IQ4_XS:
        case CAKED_MXFP4:
        case CAKED_Q8_0: return 8;
        default: return 0;
    }
}

// Whether scales are products with small integers, one for a part of 32 or 16.
static inline bool caked_panel_is_nested(caked_type type) {
    return type == CAKED_Q4_K || type == CAKED_Q5_K || type == CAKED_Q6_K || type == CAKED_Q3_K || type == CAKED_IQ4_XS;
}

// The largest magnitude that is multiplied: of a quant, or of quant - 128 where quants are bytes.
static inline int caked_panel_largest(caked_type type) {
    switch (type) {
        case CAKED_MXFP4: return 12;
        case CAKED_IQ4_NL:
        case CAKED_IQ4_XS: return 127;
        default: return caked_panel_bits(type) == 8 ? 128 : (1 << caked_panel_bits(type)) - 1;
    }
}

// Whether the two halves of a part have scales of their own. Q3_K is re-tiled as if it were Q6_K, and types of 16
// levels as their levels, eight bits each.
static inline bool caked_panel_is_halved(caked_type type) { return type == CAKED_Q6_K || type == CAKED_Q3_K; }

// Whether a weight is scale * quant + shift; the others are scale * (quant - half of the quants' range).
static inline bool caked_panel_is_shifted(caked_type type) {
    return type == CAKED_Q4_1 || type == CAKED_Q5_1 || type == CAKED_Q4_K || type == CAKED_Q5_K;
}

// Bytes before each 8 blocks of a group.
static inline size_t caked_panel_head(caked_type type) {
    return caked_panel_is_nested(type) ? PANEL_HALVES << caked_panel_is_shifted(type) : 0;
}

// Bytes of the quants of a group's block.
static inline size_t caked_panel_quants(caked_type type) { return (size_t)caked_panel_bits(type) * 64; }

// Bytes of a group's block.
static inline size_t caked_panel_block(caked_type type) {
    bool two = caked_panel_is_shifted(type) && !caked_panel_is_nested(type);
    return caked_panel_quants(type) + ((size_t)PANEL_HALVES << two);
}

// Bytes of a group's first `blocks` blocks; of K types, whole eights.
static inline size_t caked_panel_group(caked_type type, size_t blocks) {
    return blocks * caked_panel_block(type) + blocks / PANEL_PIECE * caked_panel_head(type);
}

#endif

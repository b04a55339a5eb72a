// Compiles every operation over the lanes the including file has chosen and puts them into the table TABLE.
#include "lanes/exp.h"
#ifdef CAKED_BFLOAT_LANES
#include CAKED_BFLOAT_LANES
#else
#include "lanes/bfloat.h"
#endif
#include "operations/unpack.h"
#include "operations/unpack_coarse.h"
#include "operations/quants.h"
#include "operations/panel.h"
#include "operations/panel_product.h"
#include "operations/dequantise.h"
#include "operations/channels.h"
#include "operations/matmul.h"
#include "operations/softmax.h"
#include "operations/scoring.h"
#include "operations/elementwise.h"
#include "operations/block.h"
#include "operations/tile.h"
#include "operations/attend_bytes.h"
#include "operations/attend_nibbles.h"
#include "operations/attend.h"
#include "operations/observe.h"

const caked_table TABLE = {
    .name = TABLE_NAME,
#ifdef CAKED_INT8_IS_FAST
    .int8_is_fast = true,
#endif
#ifdef CAKED_BFLOAT_LANES
    .bfloat_is_fast = true,
#endif
    .dequantise = dequantise,
    .quantise = quantise,
    .quantise_keys = quantise_keys,
    .dequantise_keys = dequantise_keys,
    .matmul = matmul,
    .rms_norm = rms_norm,
    .add = add,
    .swiglu = swiglu,
    .geglu = geglu,
    .clamped_swiglu = clamped_swiglu,
    .soft_cap = soft_cap,
    .rope_interleaved = rope_interleaved,
    .rope_neox = rope_neox,
    .attend = attend,
    .attend_merge = attend_merge,
    .attend_finish = attend_finish,
    .block_pack = block_pack,
    .block_begin = block_begin,
    .block_attend = block_attend,
    .block_finish = block_finish,
    .observe = observe,
    .argmax = argmax,
    .panel_fill = panel_fill,
    .int8_rows = int8_rows,
    .panel_matmul = panel_matmul,
    .int8_matmul = int8_matmul,
};

"""Makes blocks.json: random blocks of ggml's types, and the floats they stand for by its own Python package.

    python3 Tests/Fixtures/blocks.py > Tests/Fixtures/blocks.json      # needs numpy and gguf 0.19.0

Half floats among the bytes are an ordinary, a negative, a subnormal and the largest number in turn.
"""

import json

import gguf
import numpy
from gguf import quants

# Where a block's half floats lie; IQ1_M has its own in four nibbles, MXFP4 an exponent.
HALVES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "Q2_K": [80, 82], "Q3_K": [108], "IQ4_NL": [0], "IQ4_XS": [0], "MXFP4": [], "TQ1_0": [52], "TQ2_0": [64],
    "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0], "IQ1_S": [0], "IQ1_M": [],
}
NUMBERS = [0x2A5D, 0xB1AC, 0x0003, 0x7BFF]

random = numpy.random.default_rng(11)
result = {}
for name, places in HALVES.items():
    kind = gguf.GGMLQuantizationType[name]
    _, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (len(NUMBERS), size), dtype=numpy.uint8)
    for block, number in zip(blocks, NUMBERS):
        for place in places:
            block[place : place + 2] = [number & 255, number >> 8]
        if name == "MXFP4":
            block[0] = {0x2A5D: 122, 0xB1AC: 0, 0x0003: 1, 0x7BFF: 250}[number]
        if name == "IQ1_M":
            for k in range(4):
                block[49 + 2 * k] = block[49 + 2 * k] & 15 | (number >> 4 * k & 15) << 4
    weights = quants.dequantize(blocks.reshape(1, -1), kind).astype(numpy.float32)
    result[name.lower()] = {"stored": blocks.tobytes().hex(), "weights": weights.view(numpy.uint32).flatten().tolist()}
print(json.dumps(result, separators=(",", ":"), sort_keys=True))

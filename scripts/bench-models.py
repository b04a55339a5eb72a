"""Makes the models that speed is measured with: realistic shapes, random weights, the bundled model's tokenizer.

    scripts/bench-models.py FOLDER [NAME ...]        # NAMEs such as 1b-q8_0, 160m-q4_0, 1b-f16; default: all

What a product costs does not depend on what the weights say. Other types are quantised from an f16 file with any tool
that reads GGUF. Needs numpy and gguf.
"""

import argparse
import pathlib

import gguf
import numpy

SHAPES = {
    "1b": dict(layers=16, width=2048, heads=32, kv_heads=8, head_width=64, feed_forward=8192),
    # Qwen3-30B-A3B's proportions, an eighth of its layers.
    "30b-a3b": dict(architecture="qwen3moe", layers=6, width=2048, heads=32, kv_heads=4, head_width=128,
                    feed_forward=768, experts=128, used=8),
    "160m": dict(layers=12, width=768, heads=12, kv_heads=4, head_width=64, feed_forward=2048),
}
TYPES = {name.lower(): gguf.GGMLQuantizationType[name] for name in ("F16", "Q8_0", "Q4_0")}
VOCABULARY = 32_000
CONTEXT = 139_264  # a document of 131,072 tokens, a question and its answer
TOKENIZER = pathlib.Path(__file__).parent.parent / "models/needle-4m/needle-4m-q8_0.gguf"


def copy_tokenizer(writer):
    """The tokenizer of the bundled model, filled up with words that occur in no text."""
    fields = gguf.GGUFReader(TOKENIZER).fields
    value = lambda key: fields["tokenizer." + key].contents() if "tokenizer." + key in fields else None
    tokens = list(value("ggml.tokens"))
    kinds = [int(kind) for kind in value("ggml.token_type") or [1] * len(tokens)]
    missing = VOCABULARY - len(tokens)
    writer.add_tokenizer_model(value("ggml.model"))
    if value("ggml.pre"):
        writer.add_tokenizer_pre(value("ggml.pre"))
    writer.add_token_list(tokens + [f"<filler {i}>" for i in range(missing)])
    writer.add_token_types(kinds + [1] * missing)
    if value("ggml.merges"):
        writer.add_token_merges(value("ggml.merges"))
    for name in ("bos", "eos", "eot"):
        number = value(f"ggml.{name}_token_id")
        if number is not None:
            getattr(writer, f"add_{name}_token_id")(int(number))
    if value("chat_template"):
        writer.add_chat_template(value("chat_template"))


def make(name, path):
    shape_name, type_name = name.rsplit("-", 1)
    shape, stored = SHAPES[shape_name], TYPES[type_name]
    random = numpy.random.default_rng(7)
    writer = gguf.GGUFWriter(path, shape.get("architecture", "llama"))
    writer.add_name(name)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(shape["width"])
    writer.add_block_count(shape["layers"])
    writer.add_feed_forward_length(shape["feed_forward"])
    writer.add_head_count(shape["heads"])
    writer.add_head_count_kv(shape["kv_heads"])
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(500_000.0)
    writer.add_rope_dimension_count(shape["head_width"])
    if shape["head_width"] * shape["heads"] != shape["width"]:
        writer.add_key_length(shape["head_width"])
        writer.add_value_length(shape["head_width"])
    if "experts" in shape:
        writer.add_expert_count(shape["experts"])
        writer.add_expert_used_count(shape["used"])
        writer.add_expert_feed_forward_length(shape["feed_forward"])
    writer.add_vocab_size(VOCABULARY)
    copy_tokenizer(writer)

    def matrix(tensor, outputs, inputs, experts=None):
        values = random.standard_normal((outputs, inputs), dtype=numpy.float32) * numpy.float32(0.7 / inputs**0.5)
        quantised = gguf.quants.quantize(values, stored)
        if experts:
            # Alike, but for where they lie.
            quantised = numpy.broadcast_to(quantised, (experts, *quantised.shape)).copy()
        writer.add_tensor(tensor, quantised, raw_dtype=stored)

    def ones(tensor, count=shape["width"]):
        writer.add_tensor(tensor, numpy.ones(count, dtype=numpy.float32))

    queries, keys = shape["heads"] * shape["head_width"], shape["kv_heads"] * shape["head_width"]
    matrix("token_embd.weight", VOCABULARY, shape["width"])
    ones("output_norm.weight")
    matrix("output.weight", VOCABULARY, shape["width"])
    for layer in range(shape["layers"]):
        block = f"blk.{layer}."
        ones(block + "attn_norm.weight")
        ones(block + "ffn_norm.weight")
        matrix(block + "attn_q.weight", queries, shape["width"])
        matrix(block + "attn_k.weight", keys, shape["width"])
        matrix(block + "attn_v.weight", keys, shape["width"])
        matrix(block + "attn_output.weight", shape["width"], queries)
        experts = shape.get("experts")
        if experts:
            ones(block + "attn_q_norm.weight", shape["head_width"])
            ones(block + "attn_k_norm.weight", shape["head_width"])
            router = random.standard_normal((experts, shape["width"]), dtype=numpy.float32)
            writer.add_tensor(block + "ffn_gate_inp.weight", router)
        end = "_exps.weight" if experts else ".weight"
        matrix(block + "ffn_gate" + end, shape["feed_forward"], shape["width"], experts)
        matrix(block + "ffn_up" + end, shape["feed_forward"], shape["width"], experts)
        matrix(block + "ffn_down" + end, shape["width"], shape["feed_forward"], experts)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    names = [f"{shape}-{stored}" for shape in SHAPES for stored in TYPES]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(names))
    arguments = parser.parse_args()
    for name in arguments.names or names:
        if name not in names:
            parser.error(f"{name} is none of {', '.join(names)}")
        path = arguments.folder / f"{name}.gguf"
        make(name, path)
        print(path)


main()

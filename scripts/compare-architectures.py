"""Compares the forward pass with llama.cpp's: small models of random weights, one for each case of the table below.

    python=$(scripts/python.sh xllamacpp numpy gguf==0.19.0)
    $python scripts/compare-architectures.py .build/release/cakebench [CASE ...]

Prints for each case, of all or those named, how many greedy tokens agree, and how far the log-probabilities of the
likeliest first tokens lie apart. Weights and KV rows are floats on both sides, so that little but a misread
architecture tells them apart.
"""

import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy
import xllamacpp

LAYERS, WIDTH, HEADS, KV_HEADS, FEED_FORWARD, CONTEXT = 5, 128, 4, 2, 256, 2_048
EXPERTS, EXPERT_WIDTH = 8, 96
RUNS, PROMPT_TOKENS, GREEDY_TOKENS, TOP = 4, 40, 48, 8
TOKENIZER = pathlib.Path(__file__).parent.parent / "models/needle-4m/needle-4m-q8_0.gguf"

QKV = ("attn_q", "attn_k", "attn_v")
# Norms of a block, by their tensors, and what each spans.
PLAIN = {"attn_norm": "width", "ffn_norm": "width"}
BEHIND = {"post_attention_norm": "width", "post_ffw_norm": "width"}
ROWS_NORMED = {"attn_q_norm": "query row", "attn_k_norm": "key row"}
HEADS_NORMED = {"attn_q_norm": "head", "attn_k_norm": "head"}
# Tensors that hold several matrices, one behind the other.
ALL_FUSED = {"attn_qkv": QKV, "ffn_up": ("ffn_gate", "ffn_up")}
UP_FUSED = {"ffn_up": ("ffn_gate", "ffn_up")}
GRANITE = {"embedding_scale": 3.0, "attention.scale": 0.1, "residual_scale": 0.4, "logit_scale": 0.5}
YARN = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 512}
MISTRAL = {"rope.scaling.type": "yarn", "rope.scaling.factor": 4.0, "rope.scaling.original_context_length": 16,
           "rope.scaling.yarn_log_multiplier": 0.7, "attention.temperature_scale": 0.1}
LONGROPE = {"rope.scaling.attn_factor": 1.2, "rope.scaling.original_context_length": 512}

QWEN_MOE = {"expert_count": EXPERTS, "expert_used_count": 3, "expert_feed_forward_length": EXPERT_WIDTH}
EXPERT_MATRICES = ("ffn_gate_inp", "ffn_gate_exps", "ffn_up_exps", "ffn_down_exps")
# Shorter than a prompt.
WINDOW = {"attention.sliding_window": 24}
MIXTRAL = {"expert_count": EXPERTS, "expert_used_count": 2, "feed_forward_length": EXPERT_WIDTH}

# What is not Llama's: architecture, metadata under its name, norms, matrices with a bias, width of heads, tensors that
# hold
# several matrices, whether pairs have RoPE factors of their own.
CASES = {
    "llama": dict(),
    "llama, heads of their own width": dict(head_width=48),
    "llama, linear RoPE": dict(metadata={"rope.scaling.type": "linear", "rope.scaling.factor": 4.0}),
    "llama, factor without a type": dict(metadata={"rope.scaling.factor": 4.0}),
    "llama, RoPE with a magnitude": dict(metadata={"rope.scaling.attn_factor": 1.25}),
    "llama, sliding window": dict(metadata={"attention.sliding_window": 16}),
    "llama, YaRN": dict(metadata=YARN),
    "llama, YaRN, magnitude": dict(metadata=YARN | {"rope.scaling.attn_factor": 1.25}),
    "llama, LongRoPE": dict(metadata=LONGROPE | {"rope.scaling.type": "longrope"}, rope_factors=True),
    "mistral3": dict(architecture="mistral3", metadata=MISTRAL),
    "mistral3, plain": dict(architecture="mistral3", head_width=48),
    "phi3": dict(architecture="phi3", fused=ALL_FUSED, metadata={"attention.sliding_window": 16}),
    "phi3, LongRoPE, long": dict(architecture="phi3", fused=ALL_FUSED, metadata=LONGROPE, rope_factors=True),
    "phi3, LongRoPE, short": dict(architecture="phi3", fused=ALL_FUSED, rope_factors=True,
                                  metadata=LONGROPE | {"rope.scaling.original_context_length": CONTEXT}),
    "phi3, partial RoPE": dict(architecture="phi3", fused=ALL_FUSED, rope_factors=True,
                               metadata=LONGROPE | {"rope.dimension_count": 24}),
    "glm4": dict(architecture="glm4", biased=QKV, norms=PLAIN | BEHIND, fused=UP_FUSED,
                 metadata={"rope.dimension_count": 16}),
    "glm4, fused": dict(architecture="glm4", biased=["attn_qkv"], norms=PLAIN | BEHIND, fused=ALL_FUSED,
                        metadata={"rope.dimension_count": 16}),
    "hunyuan-dense": dict(architecture="hunyuan-dense", head_width=48, norms=PLAIN | HEADS_NORMED),
    "hunyuan-dense, alpha": dict(architecture="hunyuan-dense", norms=PLAIN | HEADS_NORMED,
                                 metadata={"rope.scaling.alpha": 50.0}),
    "llama, experts": dict(metadata=MIXTRAL),
    "llama, all experts used": dict(metadata=MIXTRAL | {"expert_used_count": EXPERTS}),
    "qwen3moe": dict(architecture="qwen3moe", head_width=48, norms=PLAIN | HEADS_NORMED, metadata=QWEN_MOE),
    "qwen3vlmoe": dict(architecture="qwen3vlmoe", head_width=48, norms=PLAIN | HEADS_NORMED,
                       metadata=QWEN_MOE | {"rope.dimension_sections": [8, 8, 8, 0]}),
    "olmoe": dict(
        architecture="olmoe", kv_heads=HEADS, norms=PLAIN | ROWS_NORMED, metadata=MIXTRAL | {"expert_used_count": 4}
    ),
    "granitemoe": dict(architecture="granitemoe", metadata=GRANITE | MIXTRAL),
    "gemma": dict(architecture="gemma", head_width=48, tied=True),
    "gemma3": dict(architecture="gemma3", head_width=48, layers=7, tied=True, norms=PLAIN | BEHIND | HEADS_NORMED,
                   metadata={"attention.sliding_window": CONTEXT, "rope.freq_base": 1e6, "rope.scaling.type": "linear",
                             "rope.scaling.factor": 8.0}),
    "gemma3, windows": dict(architecture="gemma3", head_width=48, layers=7, tied=True,
                            norms=PLAIN | BEHIND | HEADS_NORMED, metadata=WINDOW | {"rope.freq_base": 1e6}),
    "gemma3, another pattern": dict(architecture="gemma3", head_width=48, tied=True,
                                    norms=PLAIN | BEHIND | HEADS_NORMED,
                                    metadata=WINDOW | {"attention.sliding_window_pattern": 2}),
    "gemma2": dict(architecture="gemma2", head_width=48, tied=True, norms=PLAIN | BEHIND, metadata=WINDOW),
    "gemma2, low caps": dict(architecture="gemma2", head_width=48, tied=True, norms=PLAIN | BEHIND,
                             metadata=WINDOW | {"attn_logit_softcapping": 1.5, "final_logit_softcapping": 8.0}),
    "gemma2, 46 layers": dict(architecture="gemma2", head_width=48, layers=46, tied=True, norms=PLAIN | BEHIND,
                              metadata=WINDOW),
    "gemma3, 62 layers": dict(architecture="gemma3", head_width=48, layers=62, tied=True,
                              norms=PLAIN | BEHIND | HEADS_NORMED, metadata={"attention.sliding_window": CONTEXT}),
    "internlm2": dict(architecture="internlm2"),
    "ernie4_5": dict(architecture="ernie4_5"),
    "smollm3": dict(architecture="smollm3"),
    "granite": dict(architecture="granite", metadata=GRANITE),
    "granite, without RoPE": dict(architecture="granite", metadata=GRANITE | {"rope.scaling.finetuned": False}),
    "granite, plain": dict(architecture="granite", metadata={"logit_scale": 1.0}),
    "qwen2": dict(architecture="qwen2", biased=QKV),
    "qwen2vl": dict(architecture="qwen2vl", biased=QKV, metadata={"rope.dimension_sections": [4, 6, 6, 0]}),
    "seed_oss": dict(architecture="seed_oss", head_width=48, biased=QKV,
                     norms={"attn_norm": "width", "post_attention_norm": "width"}),
    "qwen2, YaRN": dict(architecture="qwen2", biased=QKV, metadata=YARN),
    "qwen3": dict(architecture="qwen3", head_width=48, norms=PLAIN | HEADS_NORMED),
    "qwen3vl": dict(architecture="qwen3vl", head_width=48, norms=PLAIN | HEADS_NORMED,
                    metadata={"rope.dimension_sections": [8, 8, 8, 0]}),
    "olmo2": dict(architecture="olmo2", norms=BEHIND | ROWS_NORMED),
    "olmo2, windows": dict(architecture="olmo2", norms=BEHIND | ROWS_NORMED, metadata=WINDOW | YARN),
    "exaone4": dict(architecture="exaone4", norms=BEHIND | HEADS_NORMED),
    "exaone4, 64 layers, windows": dict(architecture="exaone4", layers=64, norms=BEHIND | HEADS_NORMED,
                                        metadata=WINDOW),
    "gpt-oss": dict(architecture="gpt-oss", head_width=64, sinks=True, biased=(*QKV, "attn_output", *EXPERT_MATRICES),
                    norms={"attn_norm": "width", "post_attention_norm": "width"}, metadata=QWEN_MOE | WINDOW | YARN),
}


def write(path, case, seed):
    architecture = case.get("architecture", "llama")
    head_width = case.get("head_width", WIDTH // HEADS)
    random = numpy.random.default_rng(seed)
    writer = gguf.GGUFWriter(path, architecture)
    plain = copy_tokenizer(writer)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    layers = case.get("layers", LAYERS)
    writer.add_block_count(layers)
    writer.add_head_count(HEADS)
    kv_heads = case.get("kv_heads", KV_HEADS)
    writer.add_head_count_kv(kv_heads)
    if head_width * HEADS != WIDTH:
        writer.add_key_length(head_width)
        writer.add_value_length(head_width)
    writer.add_layer_norm_rms_eps(1e-5)
    metadata = {"rope.freq_base": 10_000.0, "rope.dimension_count": head_width, "feed_forward_length": FEED_FORWARD}
    metadata |= case.get("metadata", {})
    add = {str: writer.add_string, bool: writer.add_bool, int: writer.add_uint32, float: writer.add_float32,
           list: writer.add_array}
    for key, value in metadata.items():
        add[type(value)](f"{architecture}.{key}", value)

    def vector(name, shape, around):
        values = around + 0.4 * random.uniform(-1, 1, shape)
        writer.add_tensor(name, values.astype(numpy.float32))

    def matrix(name, outputs, inputs, gain=1.5, rows=1.0, count=None):
        shape = (outputs, inputs) if count is None else (count, outputs, inputs)
        values = rows * gain / math.sqrt(inputs) * random.standard_normal(shape)
        writer.add_tensor(name + ".weight", values.astype(numpy.float32))

    spans = {"width": WIDTH, "head": head_width, "query row": HEADS * head_width, "key row": kv_heads * head_width}
    queries, keys = spans["query row"], spans["key row"]
    # Half a character is a token that llama.cpp's server does not list: none is likely.
    if case.get("tied"):
        matrix("token_embd", len(plain), WIDTH, gain=4, rows=plain[:, None])
    else:
        matrix("token_embd", len(plain), WIDTH, gain=math.sqrt(WIDTH))
        matrix("output", len(plain), WIDTH, gain=4, rows=plain[:, None])
    vector("output_norm.weight", WIDTH, 1)
    if case.get("rope_factors"):
        for name in ("long", "short"):
            vector(f"rope_factors_{name}.weight", metadata["rope.dimension_count"] // 2, 1.5)
    norms = case.get("norms", PLAIN)
    for layer in range(layers):
        block = f"blk.{layer}."
        for name, span in norms.items():
            vector(f"{block}{name}.weight", spans[span], 1)
        matrices = {
            "attn_q": (queries, WIDTH), "attn_k": (keys, WIDTH), "attn_v": (keys, WIDTH),
            "attn_output": (WIDTH, queries), "ffn_gate": (FEED_FORWARD, WIDTH), "ffn_up": (FEED_FORWARD, WIDTH),
            "ffn_down": (WIDTH, FEED_FORWARD),
        }
        if case.get("sinks"):
            vector(block + "attn_sinks.weight", HEADS, 0)
        if "expert_count" in metadata:
            matrices["ffn_gate_inp"] = EXPERTS, WIDTH
            for name in ("ffn_gate", "ffn_up", "ffn_down"):
                shape = (WIDTH, EXPERT_WIDTH) if name == "ffn_down" else (EXPERT_WIDTH, WIDTH)
                del matrices[name]
                matrix(block + name + "_exps", *shape, count=EXPERTS)
                if name + "_exps" in case.get("biased", ()):
                    vector(f"{block}{name}_exps.bias", (EXPERTS, shape[0]), 0)
        for name, parts in case.get("fused", {}).items():
            parts = [matrices.pop(part) for part in parts]
            matrices[name] = sum(outputs for outputs, _ in parts), parts[0][1]
        for name, (outputs, inputs) in matrices.items():
            matrix(block + name, outputs, inputs)
            if name in case.get("biased", ()):
                vector(f"{block}{name}.bias", outputs, 0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return numpy.flatnonzero(plain)


def copy_tokenizer(writer):
    """Copies the bundled model's tokenizer; returns which of its tokens are plain text."""
    fields = gguf.GGUFReader(TOKENIZER).fields
    for name, field in fields.items():
        if name.startswith("tokenizer."):
            elements = field.types[-1] if len(field.types) > 1 else None
            writer.add_key_value(name, field.contents(), field.types[0], elements)
    texts, kinds = (fields["tokenizer.ggml." + name].contents() for name in ("tokens", "token_type"))
    normal = int(gguf.TokenType.NORMAL)
    return numpy.array([kind == normal and text.strip("Ġ").isalpha() and text.strip("Ġ").isascii()
                        for text, kind in zip(texts, kinds)])


def llama_cpp(path):
    """A function from a prompt to greedy tokens and the likeliest first ones with their log-probabilities."""
    parameters = xllamacpp.CommonParams()
    parameters.model.path = path
    parameters.n_ctx = CONTEXT
    parameters.n_parallel = 1
    parameters.warmup = False
    parameters.cache_type_k = parameters.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
    parameters.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    server = xllamacpp.Server(parameters)

    def run(prompt):
        answer = server.handle_completions({
            "prompt": prompt, "max_tokens": GREEDY_TOKENS, "temperature": 0, "logprobs": TOP, "cache_prompt": False})
        if "choices" not in answer:
            raise RuntimeError(str(answer))
        tokens = answer["choices"][0]["logprobs"]["content"]
        return [token["id"] for token in tokens], {
            token["id"]: token["logprob"] for token in tokens[0]["top_logprobs"]}

    return run


def caked(cakebench, path, prompt):
    command = [cakebench, "logits", "--model", path, "--ids", ",".join(map(str, prompt)), "--rows", "f32",
               "--greedy", str(GREEDY_TOKENS), "--top", "1000000"]
    report = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    total = math.log(sum(math.exp(entry["logit"] - report["top"][0]["logit"]) for entry in report["top"]))
    return report["greedy"], {
        entry["id"]: entry["logit"] - report["top"][0]["logit"] - total for entry in report["top"]}


def compare(cakebench, name, folder):
    path = os.path.join(folder, "model.gguf")
    tokens = write(path, CASES[name], seed=len(name))
    theirs = llama_cpp(path)
    random = numpy.random.default_rng(1)
    equal = total = 0
    distance = 0.0
    for _ in range(RUNS):
        prompt = [int(token) for token in random.choice(tokens, PROMPT_TOKENS)]
        expected, likeliest = theirs(prompt)
        greedy, logs = caked(cakebench, path, prompt)
        # Tokens after the first that differs follow from it.
        same = next((i for i, pair in enumerate(zip(expected, greedy)) if pair[0] != pair[1]), len(expected))
        equal, total = equal + same, total + len(expected)
        distance = max(distance, max(abs(logs[token] - value) for token, value in likeliest.items()))
    return equal, total, distance


def main():
    cakebench, *names = sys.argv[1:]
    print(f"{'case':<34} {'runs':>4}  greedy tokens equal  log-probabilities apart")
    for name in names or CASES:
        with tempfile.TemporaryDirectory() as folder:
            try:
                equal, total, distance = compare(cakebench, name, folder)
                print(f"{name:<34} {RUNS:>4}  {equal:>6} of {total:<6}       {distance:.5f}", flush=True)
            except (subprocess.CalledProcessError, RuntimeError) as error:
                print(f"{name:<34}       {getattr(error, 'stderr', None) or error}", flush=True)


if __name__ == "__main__":
    main()

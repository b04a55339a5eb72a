"""Kept sets of the rival presets by their peers' own code, for PresetTests.swift:

    pip install torch kvpress==0.5.5          # NVIDIA/kvpress; commit 8bb29b9 was read
    git clone https://github.com/FFY0/AdaKV   # commit efe4e2e: SnapKV and PyramidKV as its authors have them
    python presets.py AdaKV > presets.json

Queries and keys come from a counter-based generator that the test has, too. Kept positions are sorted, [layer][head].
Scores and selections are the peers'; what is glue is said where it stands. `reconstruct` and `above` have no peer: they
follow the definitions in the sources (CAKE's preferences, a floor, heads that compete; one ranking above a part of CAKE's
budgets) in float64 numpy.
"""
import contextlib
import importlib.util
import json
import math
import sys
import types

import numpy as np
import torch

MASK = (1 << 64) - 1


def uniform(seed, count):
    """SplitMix64 at seed + 1, seed + 2, ...: 24 bits of each as a float32 in [-1, 1)."""
    out = np.empty(count, np.float32)
    for i in range(count):
        z = ((seed + i + 1) * 0x9E3779B97F4A7C15) & MASK
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        out[i] = np.float32(((z ^ (z >> 31)) >> 40) / (1 << 23)) - np.float32(1)
    return out


class Case:
    """Random queries and keys of a small model; queries of a repeat as well."""

    def __init__(self, name, seed, layers, heads, kv_heads, tokens, width, scale=4.0):
        self.name, self.seed, self.layers, self.heads, self.kv_heads = name, seed, layers, heads, kv_heads
        self.tokens, self.width = tokens, width
        rows = 2 * tokens  # the document's, then a repeat's
        n = layers * heads * rows * width
        self.q = torch.tensor(uniform(seed, n) * np.float32(scale)).view(layers, 1, heads, rows, width)
        n2 = layers * kv_heads * rows * width
        self.k = torch.tensor(uniform(seed + n, n2)).view(layers, 1, kv_heads, rows, width)
        self.module = [types.SimpleNamespace(
            layer_idx=l, head_dim=width, num_key_value_groups=heads // kv_heads, q_proj=lambda x: x,
            config=types.SimpleNamespace(num_attention_heads=heads, num_key_value_heads=kv_heads,
                                         num_hidden_layers=layers, _attn_implementation="sdpa"))
            for l in range(layers)]

    def document(self, layer):
        """Queries, keys and causal attention of the document."""
        q, k = self.q[layer, :, :, : self.tokens], self.k[layer, :, :, : self.tokens]
        scores = q @ k.repeat_interleave(self.heads // self.kv_heads, 1).transpose(2, 3) / math.sqrt(self.width)
        scores += torch.triu(torch.full((self.tokens, self.tokens), float("-inf")), diagonal=1)
        return q, k, scores.softmax(-1)

    def row(self, preset, budget, kept, **more):
        return dict(case=self.name, preset=preset, seed=self.seed, layers=self.layers, heads=self.heads,
                    kvHeads=self.kv_heads, tokens=self.tokens, width=self.width, budget=budget, kept=kept, **more)


def top(scores, count):
    """[kv heads][kept positions], with a margin that float32 sums in another order do not close."""
    ranked = scores[0].sort(-1, descending=True).values
    if count < ranked.shape[-1]:
        finite = ranked[:, count - 1] < 1e30
        gap = (ranked[:, count - 1] - ranked[:, count]) / ranked[:, count - 1]
        assert (gap[finite] > 1e-5).all(), gap
    return [sorted(head) for head in scores[0].topk(count, dim=-1).indices.tolist()]


def scored(case, press, budget):
    """A kvpress scorer and its selection."""
    kept = []
    for layer in range(case.layers):
        q, k, attention = case.document(layer)
        kept.append(top(press.score(case.module[layer], q[:, 0], k, k, attention, {}), budget))
    return kept


def h2o(case, budget, recent=32):
    """kvpress' observed attention; the last tokens above all, as PyramidKV's authors run H2O."""
    from kvpress import ObservedAttentionPress
    kept = []
    for layer in range(case.layers):
        q, k, attention = case.document(layer)
        scores = ObservedAttentionPress().score(case.module[layer], q[:, 0], k, k, attention, {})
        scores[..., -recent:] = 1e30
        kept.append(top(scores, budget))
    return kept


def adakv(case, budget, window=32):
    """kvpress' Ada-KV over SnapKV's scores of what stands before the window, as Ada-KV's authors count budgets."""
    from kvpress import AdaKVPress, SnapKVPress
    before = case.tokens - window

    class Before(SnapKVPress):
        def score(self, *arguments):
            return super().score(*arguments)[..., :before].contiguous()

    kept = []
    for layer in range(case.layers):
        q, k, attention = case.document(layer)
        # The ratio is one that int() turns into budget - window.
        press = AdaKVPress(Before(1 - (budget - window + 0.5) / before, window_size=window), alpha_safeguard=0.2)
        press.compress(case.module[layer], q[:, 0], k, k, attention, {})
        _, heads, positions = case.module[layer].masked_key_indices
        gone = [set(positions[heads == head].tolist()) for head in range(case.kv_heads)]
        kept.append([[n for n in range(case.tokens) if n not in one] for one in gone])
    return kept


def cluster(case, budget, authors, pyramid, window=32):
    """SnapKV or PyramidKV by Ada-KV's authors; values hold their own positions, so that what is kept can be read off."""
    kept = []
    for layer in range(case.layers):
        q, k, _ = case.document(layer)
        positions = torch.arange(case.tokens, dtype=torch.float32).view(1, 1, -1, 1).expand_as(k).contiguous()
        with contextlib.redirect_stdout(sys.stderr):
            chosen = authors.SnapKVCluster(
                window_size=window, max_capacity_prompt=budget, kernel_size=5, pooling="avgpool", layer_idx=layer,
                num_hidden_layers=case.layers, pyram_mode=pyramid, pyram_beta=20, gqa_support=True,
                num_key_value_groups=case.heads // case.kv_heads, gqa_func="mean").update_kv(k, q, positions)[1]
        kept.append([sorted(int(x) for x in head[:, 0]) for head in chosen[0]])
    return kept


def kvzip(case, budget, chunk):
    """kvpress' KVzip: its scores chunk by chunk, then its one ranking over layers and heads."""
    from kvpress import KVzipPress
    press = KVzipPress(1 - (budget - 0.5 / (case.layers * case.kv_heads)) / case.tokens)
    press.context_length = case.tokens
    press.score_val = torch.zeros(case.layers, 1, case.kv_heads, case.tokens)
    press.score_val[..., : press.n_sink] = 1.0
    for start in range(press.n_sink, case.tokens, chunk):
        press.start_idx, press.end_idx = start, min(start + chunk, case.tokens)
        rows = slice(case.tokens + start, case.tokens + press.end_idx)
        for layer in range(case.layers):
            q = case.q[layer, :, :, rows].transpose(1, 2).reshape(1, rows.stop - rows.start, -1)
            keys = torch.cat((case.k[layer, :, :, : case.tokens], case.k[layer, :, :, rows]), 2)
            ones = torch.ones(1, rows.stop - rows.start, case.width)
            press.score_kvzip(case.module[layer], q, keys, keys, None,
                              dict(position_embeddings=(ones, torch.zeros_like(ones))))
    layers = [types.SimpleNamespace(self_attn=module) for module in case.module]
    press.compress_post(types.SimpleNamespace(model=types.SimpleNamespace(layers=layers)))
    kept = []
    for module in case.module:
        _, heads, positions = module.masked_key_indices
        gone = [set(positions[heads == head].tolist()) for head in range(case.kv_heads)]
        kept.append([[n for n in range(case.tokens) if n not in one] for one in gone])
    return kept


def reconstruct(case, budget, preferences, floor=0.2, sinks=4, pool=3):
    """The default: indicators pooled twice, CAKE's shares between floor and cap, the layer's heads in one ranking."""
    n = case.tokens
    raw = uniform(case.seed + 7, case.layers * case.kv_heads * n).reshape(case.layers, case.kv_heads, n)
    raw = raw.astype(np.float64) ** 2
    pooled = raw
    for _ in range(2):
        padded = np.pad(pooled, ((0, 0), (0, 0), (pool // 2, pool // 2)))
        pooled = sum(padded[..., i:i + n] for i in range(pool)) / pool
    average, cap = budget - sinks, n - sinks
    low, high = -60.0, 60.0
    for _ in range(200):
        middle = (low + high) / 2
        shares = [min(cap, max(floor * average, math.exp(middle) * p)) for p in preferences]
        low, high = (middle, high) if sum(shares) < average * case.layers else (low, middle)
    whole = [int(s + 1e-9) for s in shares]
    order = sorted(range(case.layers), key=lambda l: whole[l] - shares[l])
    for l in order[: average * case.layers - sum(whole)]:
        whole[l] += 1
    kept = []
    for l in range(case.layers):
        flat = sorted(((-pooled[l, h, t], t, h) for h in range(case.kv_heads) for t in range(sinks, n)))
        best = flat[: whole[l] * case.kv_heads]
        kept.append([sorted(list(range(sinks)) + [t for _, t, h in best if h == head])
                     for head in range(case.kv_heads)])
    return kept


def above(case, budget, preferences, share=0.3, floor=0.2, sinks=4):
    """The default: neighbours count half as much as the next nearer; floors bought slot by slot, the rest by rank."""
    n = case.tokens
    raw = uniform(case.seed + 7, case.layers * case.kv_heads * n).reshape(case.layers, case.kv_heads, n)
    raw = raw.astype(np.float64) ** 2
    padded = np.pad(raw, ((0, 0), (0, 0), (2, 2)))
    pooled = sum(w * padded[..., i:i + n] for i, w in enumerate((0.25, 0.5, 1, 0.5, 0.25))) / 2.5
    average, cap = budget - sinks, n - sinks
    guaranteed = int(share * average)
    floors = [round(floor / share * guaranteed)] * case.layers
    slots = sorted(((k + 0.5) / p, l) for l, p in enumerate(preferences) for k in range(floors[l], cap))
    for _, l in slots[: guaranteed * case.layers - sum(floors)]:
        floors[l] += 1
    kept = [[list(range(sinks)) for _ in range(case.kv_heads)] for _ in range(case.layers)]
    others = []
    for l in range(case.layers):
        for h in range(case.kv_heads):
            order = sorted(range(sinks, n), key=lambda t: -pooled[l, h, t])
            kept[l][h] += order[: floors[l]]
            others += [(-pooled[l, h, t], l, h, t) for t in order[floors[l]:]]
    total = average * case.layers * case.kv_heads - sum(floors) * case.kv_heads
    for _, l, h, t in sorted(others)[:total]:
        kept[l][h].append(t)
    return [[sorted(head) for head in layer] for layer in kept]


def main():
    from kvpress import SnapKVPress, StreamingLLMPress, TOVAPress
    sys.modules["flash_attn"] = types.SimpleNamespace(flash_attn_func=None)
    spec = importlib.util.spec_from_file_location(
        "authors", sys.argv[1] + "/adaptive_snapkv/monkeypatch/snapkv_utils.py")
    authors = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(authors)
    rows = []
    for case, budget in ((Case("grouped", 1, 3, 4, 2, 120, 8), 52), (Case("plain", 2, 3, 3, 3, 90, 8), 52),
                         (Case("one head", 3, 3, 4, 1, 150, 8), 72)):
        rows += [
            case.row("snapkv", budget, scored(case, SnapKVPress(window_size=32, kernel_size=5), budget)),
            case.row("pyramidkv", budget, cluster(case, budget, authors, True)),
            case.row("adakv", budget, adakv(case, budget)),
            case.row("streamingllm", budget, scored(
                case, StreamingLLMPress(1 - (budget + 0.5) / case.tokens), budget)),
            case.row("h2o", budget, h2o(case, budget)),
            case.row("tova", budget, scored(case, TOVAPress(), budget)),
            case.row("kvzip", budget, kvzip(case, budget, 40), chunk=40),
        ]
        # Both of the peers' SnapKVs agree.
        assert rows[-7]["kept"] == cluster(case, budget, authors, False)
        for preferences in ([1, 2, 4], [0.001, 1, 1], [1, 90, 3]):
            rows.append(case.row("cake-reconstruct", budget, reconstruct(case, budget, preferences),
                                 preferences=preferences))
            rows.append(case.row("cake-global", budget, above(case, budget, preferences), preferences=preferences))
    print("[" + ",\n ".join(json.dumps(row, separators=(",", ":")) for row in rows) + "]")


if __name__ == "__main__":
    main()

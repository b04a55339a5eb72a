#!/usr/bin/env python3
"""Measures caked beside other engines' llama-bench on the same machine, model and threads, taking turns.

    scripts/bench-peers.py --ik PATH/llama-bench --llama PATH/llama-bench MODEL.gguf ...

Every round runs each engine once, in turning order; the table shows medians [min–max] of tokens a second over the
rounds, and caked's median as a multiple of the fastest other's. Reading is with compression (`cake`, a tenth kept)
here; the other engines keep everything. Generation after N tokens is over a compact cache of --entries entries per
layer and head here, of random rows, and over the full cache there, which they read first: with long depths that takes
most of the time. --ik is for ik_llama.cpp, --llama for llama.cpp: their options differ.
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys

CAKEBENCH = pathlib.Path(__file__).parent.parent / ".build/release/cakebench"
LONG_PROMPT = 2_048  # from here on nobody warms up with a whole prompt


def output(command):
    """What a command prints as JSON; its own messages are shown only when it fails."""
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nended with {done.returncode}:\n{done.stderr[-2000:]}")
    return json.loads(done.stdout)


class Caked:
    def __init__(self, arguments):
        self.name = "caked"
        self.program = str(arguments.cakebench)
        self.arguments = arguments

    def run(self, command, model, *options):
        threads = str(self.arguments.threads)
        common = ["--threads", threads, "--runs", "1", "--json"]
        return output([self.program, command, "--model", model, *common, *options])

    def measure(self, model):
        """Yields (row, engine, tokens a second, share of the machine's limit)."""
        a = self.arguments
        for tokens in a.prompts:
            cold = ["--cold"] if tokens >= LONG_PROMPT else []
            result = self.run("prefill", model, "--tokens", str(tokens), "--method", a.method, *cold)
            share = result.get("share_of_limit")
            yield f"reading {tokens}", self.name, result["tokens_per_second"]["median"], share
        if a.generate == 0:
            return
        depths = [depth for depth in a.depths if depth > 0]
        tokens = [str(depth) for depth in depths] or ["1024"]
        options = ["--entries", str(a.entries), "--length", str(a.generate)]
        result = self.run("decode", model, "--tokens", *tokens, *options, *([] if a.full else ["--no-full"]))
        for row in result["rows"]:
            if row["tokens"] not in a.depths:
                continue
            name = "caked, full" if row["cache"] == "full" else self.name
            yield f"generation after {row['tokens']}", name, row["tokens_per_second"]["median"], row["share_of_limit"]


class LlamaBench:
    """Both kinds of llama-bench; only ik_llama.cpp's has -gp, only llama.cpp's has -d."""

    def __init__(self, name, program, options, arguments):
        self.name = f"{name} {options}"
        self.program = program
        self.options = options.split()
        self.is_ik = name == "ik"
        self.arguments = arguments

    def run(self, model, *options):
        threads = str(self.arguments.threads)
        command = [self.program, "-m", model, "-t", threads, "-r", "1", "-o", "json", *self.options, *options]
        return output(command)

    def measure(self, model):
        a = self.arguments
        short = [tokens for tokens in a.prompts if tokens < LONG_PROMPT]
        empty = a.generate if 0 in a.depths else 0
        if short or empty:
            prompts = ",".join(map(str, short)) or "0"
            yield from self.rows(self.run(model, "-p", prompts, "-n", str(empty)))
        cold = ["-w", "0"] if self.is_ik else ["--no-warmup"]
        for tokens in a.prompts:
            if tokens >= LONG_PROMPT:
                yield from self.rows(self.run(model, "-p", str(tokens), "-n", "0", *cold))
        for depth in a.depths if a.generate else []:
            if depth > 0:
                n = str(a.generate)
                deep = ["-n", "0", "-gp", f"{depth},{n}"] if self.is_ik else ["-n", n, "-d", str(depth)]
                yield from self.rows(self.run(model, "-p", "0", *deep))

    def rows(self, results):
        for result in results:
            depth = result["n_prompt"] if result["n_gen"] > 0 else 0
            depth = result.get("n_depth") or depth
            row = f"generation after {depth}" if result["n_gen"] > 0 else f"reading {result['n_prompt']}"
            yield row, self.name, result["avg_ts"], None


def text(values):
    decimals = 0 if statistics.median(values) >= 100 else 1
    return f"{statistics.median(values):.{decimals}f} [{min(values):.{decimals}f}–{max(values):.{decimals}f}]"


def compare(model, engines, rounds):
    """Runs all engines in turn and returns {row: {engine: [values]}} and caked's shares of the limit."""
    values, shares = {}, {}
    for number in range(rounds):
        turn = number % len(engines)
        for engine in engines[turn:] + engines[:turn]:
            for row, name, speed, share in engine.measure(model):
                values.setdefault(row, {}).setdefault(name, []).append(speed)
                if share is not None:
                    shares.setdefault((row, name), []).append(share)
        print(f"  round {number + 1} of {rounds} done", file=sys.stderr)
    return values, shares


def show(values, shares):
    summary = []
    for row, engines in values.items():
        others = {name: statistics.median(speeds) for name, speeds in engines.items() if not name.startswith("caked")}
        fastest = max(others, key=others.get) if others else None
        print(f"  {row}")
        for name, speeds in engines.items():
            line = f"    {name:36} {text(speeds):28}"
            entry = {"row": row, "engine": name, "tokens_per_second": speeds, "median": statistics.median(speeds)}
            if name.startswith("caked") and fastest:
                entry["to_fastest"] = statistics.median(speeds) / others[fastest]
                line += f" × {entry['to_fastest']:.2f} of {fastest.split()[0]}"
            if (row, name) in shares:
                entry["share_of_limit"] = statistics.median(shares[row, name])
                line += f", {100 * entry['share_of_limit']:.0f} % of the machine's limit"
            summary.append(entry)
            print(line)
    return summary


def numbers(value):
    return [int(part) for part in value.split(",") if part]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--ik", help="llama-bench of ik_llama.cpp")
    parser.add_argument("--ik-options", action="append", help="its options; several times for several settings")
    parser.add_argument("--llama", help="llama-bench of llama.cpp")
    parser.add_argument("--llama-options", action="append", help="likewise")
    parser.add_argument("--cakebench", type=pathlib.Path, default=CAKEBENCH)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--prompts", type=numbers, default=[512], help="tokens to read: 512,8192; empty for none")
    parser.add_argument("--generate", type=int, default=64, help="tokens to generate; 0 for none")
    parser.add_argument("--depths", type=numbers, default=[0], help="tokens before generation: 0,8192")
    parser.add_argument("--entries", type=int, default=1024, help="entries of a compact cache")
    parser.add_argument("--full", action="store_true", help="caked over full caches as well")
    parser.add_argument("--method", default="cake", help="caked's preset for reading")
    parser.add_argument("--json", type=pathlib.Path, help="write all figures to this file")
    arguments = parser.parse_args()
    engines = [Caked(arguments)]
    for options in arguments.ik_options or ["-rtr 1 -mqkv 1 -fa 1"] if arguments.ik else []:
        engines.append(LlamaBench("ik", arguments.ik, options, arguments))
    for options in arguments.llama_options or ["-fa on"] if arguments.llama else []:
        engines.append(LlamaBench("llama.cpp", arguments.llama, options, arguments))
    report = {}
    for model in arguments.models:
        print(f"{model}, {arguments.threads} threads, {arguments.rounds} rounds: tokens a second, median [min–max]")
        report[model] = show(*compare(model, engines, arguments.rounds))
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2) + "\n")


main()

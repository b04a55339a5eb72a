"""Held-out documents with questions, as JSON: what `cakebench needle` asks.

    python heldout.py --seed 2026 --tokens 2048 --documents 12 > heldout-2k.json

Each document has 16 questions: a code at each of five depths, three that need two facts, eight other facts. The seeds
of training are 1 to 4 and those of the model's own evaluation start at 90000; any other seed is held out.
"""
import argparse
import json
import os

from data import eval_doc, load_tokenizer


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("--seed", type=int, default=2026)
    ap.add_argument("--tokens", type=int, default=2048)
    ap.add_argument("--documents", type=int, default=12)
    a = ap.parse_args()
    tok = load_tokenizer(os.path.join(os.path.dirname(os.path.abspath(__file__)), "tokenizer.json"))
    documents = []
    for k in range(a.documents):
        text, ask = eval_doc(tok, a.seed + 1000 * a.tokens + k, a.tokens - 40)
        documents.append(dict(text=text, questions=[
            dict(kind=tag.split("@")[0], depth=int(tag.split("@")[1]) if "@" in tag else None, question=q, answer=answer,
                 value=value) for tag, q, answer, value in ask]))
    print(json.dumps(dict(seed=a.seed, tokens=a.tokens, documents=documents), indent=1))


if __name__ == "__main__":
    main()

#!/bin/sh
# Measures the figures of the README on this machine with the bundled model: answers by method and budget, then speed
# and memory. demo/speed.sh compares larger models with other engines.
set -eu
cd "$(dirname "$0")/.."
bench=.build/release/cakebench
model=models/needle-4m/needle-4m-q8_0.gguf

printf '== Answers by method and budget: 12 documents of 2,048 tokens, 192 questions\n'
"$bench" needle --model "$model" --set Tests/Fixtures/heldout-2k.json \
    --methods cake,cake-reconstruct,cake-global
for tokens in 4096 16000; do
    printf '\n== Reading %s tokens\n' "$tokens"
    for method in cake cake-global; do
        "$bench" prefill --model "$model" --tokens "$tokens" --method "$method"
    done
    printf '\n== Decoding after %s tokens\n' "$tokens"
    "$bench" decode --model "$model" --tokens "$tokens"
    printf '\n== Reloading %s tokens\n' "$tokens"
    "$bench" reload --model "$model" --tokens "$tokens"
done
printf '\n== Conversations on one document\n'
"$bench" batch --model "$model"
printf '\n== What the limits predict\n'
"$bench" roofline --model "$model"
printf '\n== Tokenizing 24 MB\n'
i=0
while [ "$i" -lt 1000 ]; do
    cat demo/chronicle.txt
    i=$((i + 1))
done | "$bench" tokenize --model "$model" --time >/dev/null

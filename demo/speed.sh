#!/bin/sh
# Measures speed beside other engines and the machine's limits, on the models of scripts/bench-models.py.
#
#   IK=…/llama-bench LLAMA=…/llama-bench MODELS=FOLDER demo/speed.sh [PART ...]
#
# Parts, minutes on two quiet virtual CPUs: kernels 1, short 8, long 12, depth 3, batch 1, reload 2, memory 8,
# roofline 2. IK and LLAMA may be left out. MODELS holds 1b-q8_0, 1b-q4_0, 1b-q4_k_m and 160m-q8_0; models that are not
# there are left out. ROUNDS (5) is how often the engines take turns.
set -eu
cd "$(dirname "$0")/.."
bench=.build/release/cakebench
models=${MODELS:?the folder of the models}
rounds=${ROUNDS:-5}
[ $# -gt 0 ] || set -- kernels short long depth batch reload memory roofline

title() { printf '\n== %s\n' "$1"; }

# Runs the comparison on one model, with the engines there are.
peers() {
    file=$models/$1.gguf
    shift
    [ -e "$file" ] || return 0
    [ -z "${IK:-}" ] || set -- --ik "$IK" "$@"
    [ -z "${llama:-}" ] || set -- --llama "$llama" "$@"
    python3 scripts/bench-peers.py "$@" "$file"
}

# Runs cakebench on one model.
own() {
    command=$1
    file=$models/$2.gguf
    shift 2
    [ ! -e "$file" ] || "$bench" "$command" --model "$file" "$@"
}

for part in "$@"; do
    llama=${LLAMA:-}
    case $part in
    kernels)
        title 'Products and attention alone'
        "$bench" kernels
        ;;
    short)
        title 'Reading 512 tokens, and generation at an empty context'
        for model in 1b-q8_0 1b-q4_0 1b-q4_k_m 160m-q8_0; do
            peers "$model" --rounds "$rounds" --prompts 512 --generate 32
        done
        ;;
    long)
        # The slower of the two needs minutes more, and falls further behind with length.
        [ -z "${IK:-}" ] || llama=
        title 'Reading 8,192 tokens, and 16,384 on the small shape'
        peers 1b-q8_0 --rounds 2 --prompts 8192 --generate 0
        peers 1b-q4_0 --rounds 1 --prompts 8192 --generate 0
        peers 1b-q4_k_m --rounds 1 --prompts 8192 --generate 0
        peers 160m-q8_0 --rounds 2 --prompts 16384 --generate 0
        ;;
    depth)
        title 'Generation over compact caches of long documents'
        for model in 1b-q8_0 1b-q4_0; do
            own decode "$model" --tokens 32768 131072 --entries 1024 --no-full --length 32
        done
        own decode 160m-q8_0 --tokens 8192 32768 131072 --entries 1024
        title 'The same beside full caches of other engines, who read the document first'
        peers 160m-q8_0 --rounds 2 --prompts '' --depths 0,2048,8192 --generate 32 --full
        ;;
    batch)
        title 'Conversations on one document'
        own batch 1b-q8_0 --tokens 32768 --entries 1024 --length 16
        own batch 160m-q8_0 --tokens 32768 --entries 1024
        ;;
    reload)
        title 'Reloading a document of 8,192 tokens'
        own reload 1b-q8_0 --tokens 8192 --method cake
        ;;
    memory)
        title 'Memory while reading 32,768 tokens'
        own prefill 160m-q8_0 --tokens 32768 --method cake --runs 0
        own prefill 1b-q8_0 --tokens 32768 --method cake --runs 0
        ;;
    roofline)
        title 'What the limits predict'
        own roofline 1b-q8_0 --runs 3
        own roofline 160m-q8_0 --depths 0 1024 8192 131072
        ;;
    *)
        printf 'no such part: %s\n' "$part" >&2
        exit 64
        ;;
    esac
done

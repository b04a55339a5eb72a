#!/bin/sh
# The answers of every preset at every budget on documents never seen in training, as a table and as docs/quality.svg.
#
#     demo/answers.sh [SEED [TOKENS [DOCUMENTS]]]
set -eu
cd "$(dirname "$0")/.."
seed=${1:-7777}
tokens=${2:-4096}
documents=${3:-20}
set=.build/heldout-$tokens-$seed.json

python=$(scripts/python.sh numpy tokenizers)
"$python" models/needle-4m/recipe/heldout.py --seed "$seed" --tokens "$tokens" --documents "$documents" >"$set"
mkdir -p docs
.build/release/cakebench needle --model models/needle-4m/needle-4m-q8_0.gguf --set "$set" --threads 2 \
    --keep 3.2,5,10,20 --visible cake --plot docs/quality.svg

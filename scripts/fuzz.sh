#!/bin/sh
# Builds the fuzzers and runs each on its corpus: scripts/fuzz.sh SECONDS [TARGET...]; the canary must
# find its planted bug.
set -eu
cd "$(dirname "$0")/.."
seconds=${1:-600}
[ $# -gt 0 ] && shift
[ $# -gt 0 ] || set -- GGUFFuzz TokenizerFuzz TemplateFuzz RecordFuzz RequestFuzz ExportFuzz
export CAKED_FUZZ=1 SWIFT_BACKTRACE=enable=no
# A build folder of its own: everything is compiled with the sanitizers.
build() { swift build -c release --scratch-path .build/fuzz --product "$1"; }
programs=.build/fuzz/release

build CanaryFuzz
if (cd .build/fuzz && release/CanaryFuzz -seed=1 -max_total_time=120 -artifact_prefix=canary- >canary.log 2>&1); then
    echo "the canary found nothing: the fuzzers are blind" >&2
    exit 1
fi
echo "the canary found its planted bug"
for target; do
    build "$target"
    found=.build/fuzz/found/$target
    mkdir -p "$found"
    # What is found goes to the first folder; the corpus in the tree stays as it is.
    "$programs/$target" -rss_limit_mb=1024 -timeout=10 -max_len=65536 -max_total_time="$seconds" -print_final_stats=1 \
        -artifact_prefix=".build/fuzz/$target-" "$found" "Tests/Fuzz/Corpora/$target" 2>&1 | tail -n 12
done

#!/bin/sh
# What a restart costs: from starting the daemon to the first token of an answer about a document that it read in an
# earlier life, and the same question the hundredth time, beside the time that reading the document took.
#
#     demo/restart.sh [MODEL [DOCUMENT]]      default: the small model, 8,000 tokens of made-up text
set -eu
cd "$(dirname "$0")/.."
bin=.build/release
model=${1:-models/needle-4m/needle-4m-q8_0.gguf}
work=$(mktemp -d)
document=${2:-$work/document}
question="What is the access code for Lisbon?"
export CAKED_SOCKET="$work/caked.sock"
daemon=""
stop() {
    if [ -n "$daemon" ]; then kill -TERM "$daemon" 2>/dev/null && wait "$daemon"; fi
    daemon=""
}
trap 'stop || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

milliseconds() { echo $(($(date +%s%N) / 1000000)); }
start() {
    "$bin/caked" --model "$model" --socket "$CAKED_SOCKET" --state "$work/state" 2>>"$work/log" &
    daemon=$!
    until [ -S "$CAKED_SOCKET" ]; do kill -0 "$daemon" 2>/dev/null || { cat "$work/log" >&2; exit 1; }; done
}
# The first token alone: what comes after it depends on the answer's length.
first_token() { "$bin/cakectl" ask document "$question" --max-tokens 1 >/dev/null; }
resident_kilobytes() { awk '/^Rss(Anon|File)/ { sum += $2 } END { print sum }' "/proc/$daemon/status"; }

if [ $# -lt 2 ]; then
    for _ in 1 2 3; do cat demo/chronicle.txt; done >"$document"
fi
start
begun=$(milliseconds)
"$bin/cakectl" put document "$document" --keep 10% >/dev/null
printf 'reading the document       %6s ms\n' $(($(milliseconds) - begun))
stop

begun=$(milliseconds)
start
listening=$(milliseconds)
first_token
printf 'start to first token       %6s ms, of which %s until the socket was there\n' $(($(milliseconds) - begun)) \
    $((listening - begun))
before=$(resident_kilobytes)
n=0
while [ "$n" -lt 98 ]; do
    first_token
    n=$((n + 1))
done
begun=$(milliseconds)
first_token
printf 'the hundredth first token  %6s ms, starting the client included\n' $(($(milliseconds) - begun))
begun=$(milliseconds)
"$bin/cakectl" models >/dev/null
printf 'starting the client alone  %6s ms\n' $(($(milliseconds) - begun))
printf 'resident memory            %6s kB after the first answer, %s kB after the hundredth; the store holds %s\n' \
    "$before" "$(resident_kilobytes)" "$(du -sh "$work/state" | cut -f 1)"

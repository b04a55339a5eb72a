#!/bin/sh
# Caches a document, asks about it, restarts the daemon, asks again: the whole of caked in a minute.
set -eu
cd "$(dirname "$0")/.."
bin=.build/release
work=$(mktemp -d)
needed=14  # of 16: what the small model answers from the full cache, less one
export CAKED_SOCKET="$work/caked.sock"
daemon=""
stop() {
    if [ -n "$daemon" ]; then kill -TERM "$daemon" 2>/dev/null && wait "$daemon"; fi
    daemon=""
}
trap 'stop || true; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

start() {
    "$bin/caked" --model models/needle-4m/needle-4m-q8_0.gguf --socket "$CAKED_SOCKET" --state "$work/state" \
        2>>"$work/log" &
    daemon=$!
    tries=0
    until "$bin/cakectl" status >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ "$tries" -gt 200 ] || ! kill -0 "$daemon" 2>/dev/null; then
            cat "$work/log" >&2
            exit 1
        fi
        sleep 0.05
    done
}

# Asks every question of demo/questions.tsv (question, tab, the value that must be in the answer) and counts right ones.
ask_all() {
    right=0
    asked=0
    while IFS="$(printf '\t')" read -r question value; do
        answer=$("$bin/cakectl" ask chronicle "$question")
        asked=$((asked + 1))
        case $answer in
        *"$value"*) right=$((right + 1)) mark="right" ;;
        *) mark="WRONG, wanted $value" ;;
        esac
        [ "$1" = again ] || printf '  %s\n    %s  (%s)\n' "$question" "$answer" "$mark"
        printf '%s\n' "$answer" >>"$work/$1"
    done <demo/questions.tsv
    printf '  %s of %s right\n' "$right" "$asked"
}

printf '== Start the daemon (socket %s)\n' "$CAKED_SOCKET"
start
printf '\n== Read demo/chronicle.txt once, keep a tenth of its cache\n'
"$bin/cakectl" put chronicle demo/chronicle.txt --keep 10%
printf '\n== Ask, question after question, from the compact cache\n'
ask_all first
printf '\n== Restart the daemon\n'
stop
start
"$bin/cakectl" ls
printf '\n== Ask again: nothing is read again\n'
ask_all again
printf '\n== What one of these answers cost\n'
"$bin/cakectl" ask chronicle "$(head -n 1 demo/questions.tsv | cut -f 1)" --verbose
"$bin/cakectl" status
cmp -s "$work/first" "$work/again" || { printf 'the answers changed after the restart\n' >&2; exit 1; }
[ "$right" -ge "$needed" ] || { printf 'only %s of %s answers are right\n' "$right" "$asked" >&2; exit 1; }
printf '\nThe same answers after the restart, without a second reading of the document.\n'

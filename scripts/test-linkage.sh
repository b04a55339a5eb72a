#!/bin/sh
# Checks that the built programs need nothing of the compiler: no library of Swift's, and no folder to look for one in.
set -eu
cd "$(dirname "$0")/.."
wrong=0
libraries='swift|Foundation|_Foundation|dispatch|BlocksRuntime|Testing|XCTest'
for program in caked cakectl cakebench; do
    section=$(readelf -d ".build/release/$program")
    # $ORIGIN is the program's own folder.
    # $ORIGIN is the program's own folder.
    found=$(echo "$section" | sed -nE \
        -e "s/.*\(NEEDED\).*\[(lib($libraries).*)\]/\1/p" \
        -e '/\[\$ORIGIN\]/d' -e 's/.*\(R(UN)?PATH\).*\[(.*)\]/the folder \2/p')
    [ -z "$found" ] && continue
    echo "$program needs $(echo $found); build it with \`make build\`" >&2
    wrong=1
done
exit $wrong

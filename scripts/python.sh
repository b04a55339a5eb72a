#!/bin/sh
# Prints the path of a Python that has the packages named, installing them into .build/venv if need be.
set -eu
cd "$(dirname "$0")/.."
venv=.build/venv
if ! [ -x "$venv/bin/python" ]; then
    mkdir -p .build
    python3 -m venv "$venv" >&2
fi
for package in "$@"; do
    "$venv/bin/python" -c "import $package" 2>/dev/null || "$venv/bin/pip" install -q "$package" >&2
done
echo "$PWD/$venv/bin/python"

#!/bin/sh
# Prints the path of a Python that has the requirements named (such as openai==3.54.0), installed into .build/venv.
set -eu
cd "$(dirname "$0")/.."
venv=.build/venv
if ! [ -x "$venv/bin/python" ]; then
    mkdir -p .build
    python3 -m venv "$venv" >&2
fi
"$venv/bin/pip" install -q --disable-pip-version-check "$@" >&2
echo "$PWD/$venv/bin/python"

#!/bin/sh
# Checks the formatting as continuous integration does: swift format, and 120 columns in Swift and scripts, comments and
# texts included, which the formatter leaves alone.
set -eu
cd "$(dirname "$0")/.."
swift format lint --strict -r -p Sources Tests Package.swift
# Characters, not bytes, whatever the locale; what stands in fixtures is as long as it is.
python3 - <<'PYTHON'
import pathlib, sys

columns = 120
wrong = 0
for folder in ("Sources", "Tests", "scripts", "demo"):
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.suffix not in (".swift", ".py", ".sh") or path.parent.name in ("Facts", "Fixtures"):
            continue
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if len(line) > columns:
                print(f"{path}:{number}: {len(line)} columns, {columns} are allowed")
                wrong += 1
sys.exit(1 if wrong else 0)
PYTHON

#!/bin/sh
# Runs the suites that depend on the kernels once for each set of instructions that this processor has, by
# CAKED_KERNELS. The tests must be built; those of the best set have run in `make test`, so it is left out.
set -eu
cd "$(dirname "$0")/.."
bench=.build/release/cakebench
best=$(env -u CAKED_KERNELS "$bench" sets | sed -n 's/ (.*, in use$//p')
# The kernels, the forward pass, the engine, and the answers of the bundled model through the real programs.
suites='CKernelsTests|TransformerTests|InferenceTests|IntegrationTests.WholePathTests'
for set in $("$bench" sets --quiet); do
    [ "$set" = "$best" ] && continue
    echo "== kernels $set"
    CAKED_KERNELS=$set swift test -c release --skip-build --filter "$suites" 2>&1 | tee .build/kernels.log \
        | grep -E '✘|skipped|Test run with' || true
    grep -q 'Test run with .* passed' .build/kernels.log || { echo "kernels $set: the tests failed" >&2; exit 1; }
done

#!/bin/sh
# Every fuzz target over its corpus, and over a fixed set of mutations of it.
set -eu
build=${AGENTSH_TEST_BUILD:-.}
corpus=${srcdir:-.}/tests/fuzz/corpus
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
corpus=$(cd "$corpus" && pwd)
cd "$tmp"
status=0
for dir in "$corpus"/*/; do
	target=$(basename "$dir")
	echo "# $target"
	"$build/tests/fuzz/fuzz_$target" -r "${FUZZ_ROUNDS:-2000}" "$dir" || status=1
done
exit $status

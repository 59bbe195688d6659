#!/bin/sh
# Compare what headline prints with what it should print.
cd "$(dirname "$0")/.." || exit 1
./headline <tests/input.txt >tests/output.txt
if diff tests/expected.txt tests/output.txt; then
	echo "all headlines are right"
else
	echo "headlines differ"
	exit 1
fi

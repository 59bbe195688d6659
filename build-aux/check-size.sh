#!/bin/sh
# check-size.sh [SRCDIR] - no function over 80 lines, no file over 1000
#
# Needs Universal Ctags (the end: field). Prints one line a fault; exit 1 when there is any, 77
# when ctags is missing.
set -u
LC_ALL=C export LC_ALL
cd "${1:-${srcdir:-.}}" || exit 2
ctags --version 2>/dev/null | grep -q 'Universal Ctags' || {
	echo "check-size.sh: Universal Ctags is missing (Debian: universal-ctags, Fedora: ctags)"
	exit 77
}

faults=$(
find common fsgate netgate execgate agentsh tests -name '*.[ch]' -print | sort |
while read -r file; do
	lines=$(wc -l <"$file")
	[ "$lines" -le 1000 ] || echo "$file: $lines lines: no file has more than 1000"
	ctags --c-kinds=f --fields=ne --excmd=number -f - "$file" 2>/dev/null |
		awk -F'\t' -v file="$file" '
		!/^!/ {
			for (i = 4; i <= NF; i++) {
				if ($i ~ /^line:/) first = substr($i, 6)
				if ($i ~ /^end:/) last = substr($i, 5)
			}
			if (last - first + 1 > 80)
				printf "%s:%d: %s has %d lines: no function has more than 80\n", file, first, $1, last - first + 1
		}'
done)

[ -z "$faults" ] && exit 0
printf '%s\n' "$faults"
exit 1

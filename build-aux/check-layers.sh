#!/bin/sh
# check-layers.sh [SRCDIR] - who may include whom
#
#   common knows only common; fsgate, netgate, execgate and agentsh know common and themselves;
#   a private header x_i.h is included only by x.c, x_*.c and x_*.h of its own folder;
#   quoted includes are written from the top folder and name a file of the tree;
#   the first include of foo.c is its own header, foo.h or foo_i.h, where it has one.
#
# Prints one line a fault, FILE:LINE: what; exit 1 when there is any.
set -u
LC_ALL=C export LC_ALL
top=${1:-${srcdir:-.}}
cd "$top" || exit 2

faults=$(find common fsgate netgate execgate agentsh -name '*.[ch]' -print | sort |
while read -r file; do
	own=
	case $file in *.c) own=${file%.c}.h; [ -f "$own" ] || own= ;; esac
	awk -v file="$file" -v own="$own" '
	function fault(text) { printf "%s:%d: %s\n", file, FNR, text }
	function base(path) { sub(/.*\//, "", path); return path }
	BEGIN { folder = file; sub(/\/.*/, "", folder) }
	!/^[ \t]*#[ \t]*include/ { next }
	{
		seen++
		quoted = match($0, /"[^"]*"/)
		name = quoted ? substr($0, RSTART + 1, RLENGTH - 2) : ""
		private = own; sub(/\.h$/, "_i.h", private)
		if (seen == 1 && own != "" && name != own && name != private)
			fault("the first include must be \"" own "\", so that the header is complete by itself")
		if (!quoted)
			next
		target = name
		if (!sub(/\/.*/, "", target) || name ~ /(^|\/)\.\.?\//) {
			fault("\"" name "\" is not written from the top folder")
			next
		}
		if ((getline line < name) < 0)
			fault("\"" name "\" is not a file of the tree")
		close(name)
		if (target != "common" && target != folder)
			fault(folder " must not include \"" name "\"")
		if (name ~ /_i\.h$/) {
			owner = base(name); sub(/_i\.h$/, "", owner)
			me = base(file); sub(/\.[ch]$/, "", me)
			dir = file; sub(/\/[^\/]*$/, "", dir)
			hdir = name; sub(/\/[^\/]*$/, "", hdir)
			if (dir != hdir || (me != owner && index(me, owner "_") != 1))
				fault("\"" name "\" is private to " hdir "/" owner "_*.c")
		}
	}' "$file"
done)

[ -z "$faults" ] && exit 0
printf '%s\n' "$faults"
exit 1

#!/bin/sh
# Do build-aux/check-layers.sh and check-symbols.sh find what they are there to find? A small tree
# that is in order is made, then one fault at a time is planted in it.
set -u
# shellcheck source=tests/lib/tap.sh
# shellcheck disable=SC2154
src=${srcdir:-.}
src=$(cd "$src" && pwd)
. "$src/tests/lib/tap.sh"
layers=$src/build-aux/check-layers.sh
symbols=$src/build-aux/check-symbols.sh
CC=${CC:-cc}

fresh() {
	rm -rf "$tap_tmp/tree"
	mkdir -p "$tap_tmp/tree" && cd "$tap_tmp/tree" || exit 99
	mkdir common fsgate netgate execgate agentsh
	echo '#include <stddef.h>' >common/err.h
	echo 'struct policy { int x; };' >common/policy_i.h
	echo 'int policy_load(void);' >common/policy.h
	printf '%s\n' '#include "common/policy.h"' '#include "common/policy_i.h"' \
		'int policy_load(void) { return 0; }' >common/policy.c
	printf '%s\n' '#include <string.h>' '#include "common/policy_i.h"' \
		'int policy_eval(const char *a, const char *b);' \
		'int policy_eval(const char *a, const char *b) { return strcmp(a, b); }' >common/policy_eval.c
	printf '%s\n' '#include <sched.h>' 'int fs_setup(void);' \
		'int fs_setup(void) { return unshare(0); }' >fsgate/fs_setup.c
	printf '%s\n' '#include "common/err.h"' 'int main(void) { return 0; }' >fsgate/main.c
	printf '%s\n' 'int cmd_wrap(void);' 'int cmd_wrap(void) { return 0; }' >agentsh/wrap_cmd.c
	printf '%s\n' '#include <sys/syscall.h>' '#include <unistd.h>' 'int net_id(void);' \
		'/* not syscall(SYS_mount),' ' * nor syscall(n) */ // nor syscall(x)' \
	'int net_id(void) { return (int)syscall(SYS_gettid); } // "syscall(5)"' >netgate/net_id.c
}
add() { # FILE LINE...
	file=$1
	shift
	printf '%s\n' "$@" >>"$file"
}
compile() {
	for c in */*.c; do
		$CC -D_GNU_SOURCE -O1 -I. -c -o "${c%.c}.o" "$c" || exit 99
	done
}
layer_fault() { # NAME PATTERN
	out=$("$layers" "$tap_tmp/tree" 2>&1)
	st=$?
	like "layers: $1" "$st $out" "^1 .*$2"
}
symbol_fault() { # NAME PATTERN
	compile
	out=$("$symbols" "$tap_tmp/tree" "$tap_tmp/tree" 2>&1)
	st=$?
	like "symbols: $1" "$st $out" "^1 .*$2"
}

fresh
try 'layers: a tree in order passes' "$layers" "$tap_tmp/tree"
compile
try 'symbols: a tree in order passes' "$symbols" "$tap_tmp/tree" "$tap_tmp/tree"

fresh; add common/x.c '#include "fsgate/fs.h"'; echo >fsgate/fs.h
layer_fault 'common includes a gate' 'common/x.c:1: common must not include'
fresh; add netgate/net_a.c '' '#include "fsgate/fs.h"'; echo >fsgate/fs.h
layer_fault 'a gate includes another gate' 'netgate/net_a.c:2: netgate must not'
fresh; add execgate/exec_a.h '#  include "agentsh/plan.h"'; echo >agentsh/plan.h
layer_fault 'a header of a gate includes agentsh' 'execgate/exec_a.h:1: execgate must not'
fresh; add common/match.c '#include "common/policy_i.h"'
layer_fault 'a private header from a stranger' 'private to common/policy_'
fresh; add fsgate/policy_x.c '#include "common/policy_i.h"'
layer_fault 'a private header from another folder' 'private to common/policy_'
fresh; add fsgate/fs_a.c '#include "fs_b.h"'; echo >fsgate/fs_b.h
layer_fault 'an include that is not from the top' 'not written from the top'
fresh; add fsgate/fs_a.c '#include "fsgate/../common/err.h"'
layer_fault 'an include with ..' 'not written from the top'
fresh; add fsgate/fs_a.c '#include "common/none.h"'
layer_fault 'an include of nothing' 'not a file of the tree'
fresh; echo >common/str.h; add common/str.c '#include <stdio.h>' '#include "common/str.h"'
layer_fault 'own header not first' 'common/str.c:1: the first include'

fresh; add common/policy.c 'int other(void);' 'int other(void) { return 1; }'
symbol_fault 'an export without the prefix' 'common/policy.o exports other'
fresh; add common/policy.c 'int counter = 3;'
symbol_fault 'exported data without the prefix' 'common/policy.o exports counter'
fresh; add agentsh/wrap_cmd.c 'int cmd_exec(void);' 'int cmd_exec(void) { return 1; }'
symbol_fault 'a command in the wrong file' 'agentsh/wrap_cmd.o exports cmd_exec'
fresh; add fsgate/fs_ops.c '#include <sys/mount.h>' 'int fs_ops(void);' \
	'int fs_ops(void) { return mount("", "", "", 0, 0); }'
symbol_fault 'mount outside set-up' 'fsgate/fs_ops.o calls mount'
fresh; add netgate/net_ops.c '#include <unistd.h>' 'int net_ops(void);' '#define GO setresuid' \
	'int net_ops(void) { return GO(1, 1, 1); }'
symbol_fault 'setresuid behind a macro' 'netgate/net_ops.o calls setresuid'
fresh; add execgate/exec_ops.c '#include <stdlib.h>' 'int exec_ops(void);' \
	'int exec_ops(void) { return system("true"); }'
symbol_fault 'system()' 'execgate/exec_ops.o calls system'
fresh; add netgate/net_id.c 'int net_x(void);' 'int net_x(void) { return (int)syscall(' \
	'SYS_pivot_root, "a", "b"); }'
symbol_fault 'pivot_root through syscall()' 'netgate/net_id.o: syscall\(\) of SYS_pivot_root'
fresh; add netgate/net_id.c 'int net_x(int n);' 'int net_x(int n) { return (int)syscall(n, 1); }'
symbol_fault 'syscall() of a number nobody can read' 'netgate/net_id.o: syscall\(\) of not a literal'
fresh; add common/policy_eval.c '#include <time.h>' 'long policy_now(void);' \
	'long policy_now(void) { return time(0); }'
symbol_fault 'the time in a pure module' 'common/policy_eval.o calls time: this module is pure'

fresh; add common/gone.c 'int strange(void);' 'int strange(void) { return 0; }'
compile; rm common/gone.c
try 'symbols: an object whose source is gone is passed over' "$symbols" "$tap_tmp/tree" "$tap_tmp/tree"

done_testing

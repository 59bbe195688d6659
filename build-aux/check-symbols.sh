#!/bin/sh
# check-symbols.sh [SRCDIR [BUILDDIR]] - what the objects export and call
#
#   foo_bar.o exports only foo_* and main; foo.o and foo_cmd.o also cmd_foo;
#   calls that change what a process is or may do (RESTRICTED below), by their names or through
#   syscall(2), come only from *setup.o, priv.o and sys.o, so that a reader finds every one of them
#   in those files;
#   the pure modules (PURE below) import nothing but memory and string functions and each other.
#
# It reads objects, so no macro or inline function hides a call; calls made inside a shared library
# stay invisible. Prints one line a fault; exit 1 when there is any.
#
# shellcheck disable=SC2086 # the lists below are split into words on purpose
set -u
LC_ALL=C export LC_ALL
src=${1:-${srcdir:-.}}
build=${2:-.}
nm=${NM:-nm}

RESTRICTED='mount umount umount2 unshare setns clone __clone clone3 chroot pivot_root
	setuid setgid seteuid setegid setreuid setregid setresuid setresgid setgroups initgroups
	setfsuid setfsgid capset prctl execl execle execlp execv execve execveat execvp execvpe
	fexecve posix_spawn posix_spawnp system popen ptrace reboot'
PURE='policy_eval policy_eval_* match match_* tls_hello http_head'
PURE_IMPORTS='mem* str* bcmp match_* regex_* policy_eval_* policy_decide policy_default __stack_chk_*
	__mem*_chk __str*_chk _GLOBAL_OFFSET_TABLE_'
# put there by the compiler for sanitizers, coverage and fuzzing
INSTRUMENTED='__asan_* __ubsan_* __odr_asan* __sanitizer_* __gcov_* __sancov_* __lsan_*'

in_list() { # WORD PATTERN...
	word=$1
	shift
	for pattern; do
		# shellcheck disable=SC2254 # patterns are meant to be patterns
		case $word in $pattern) return 0 ;; esac
	done
	return 1
}

# is $1 a name that an object called $2 (foo_bar) may export?
may_export() {
	first=${2%%_*}
	case $1 in
	main | "$first" | "$first"_*) return 0 ;;
	esac
	# the command "wrap" is in wrap.c or wrap_cmd.c
	case $1 in cmd_"${2%_cmd}" | cmd_"${2%_cmd}"_*) return 0 ;; esac
	return 1
}

# names after syscall(SYS_: the same calls, and those that have no wrapper
restricted_re=$(echo $RESTRICTED open_tree move_mount fsopen fsconfig fsmount mount_setattr |
	tr -s ' \n' '|' | sed 's/|$//')

# first arguments of syscall() in file $1 that are restricted, or are not a literal name; comments
# and strings do not count
raw_calls() {
	sed 's|//.*||' "$1" | tr '\n' ' ' |
		sed 's|/\*[^*]*\*\{1,\}\([^/*][^*]*\*\{1,\}\)*/||g; s/"[^"]*"//g' |
		grep -oE '(^|[^A-Za-z0-9_])syscall\([^,)]*' | sed 's/.*(//; s/^[[:space:]]*//' |
		sed -nE "/^(SYS|__NR)_($restricted_re)\$/p; /^(SYS|__NR)_[a-z0-9_]+\$/!s/^/not a literal number: /p"
}

set -f # patterns in the lists are not file names
faults=$(
find "$build/common" "$build/fsgate" "$build/netgate" "$build/execgate" "$build/agentsh" \
	-name '*.o' -print 2>/dev/null | sort |
while read -r object; do
	folder=$(basename "$(dirname "$object")")
	name=$(basename "$object" .o)
	name=${name##*-} # automake: agentsh_agentsh_fsgate-fs_ops.o
	[ -f "$src/$folder/$name.c" ] || continue # left over from a source that is gone
	where=$folder/$name.o

	"$nm" -g --defined-only "$object" | awk 'NF == 3 { print $3 }' |
	while read -r symbol; do
		in_list "$symbol" $INSTRUMENTED && continue
		may_export "$symbol" "$name" || echo "$where exports $symbol: not its prefix"
	done

	case $name in *setup | priv | sys) privileged=1 ;; *) privileged=0 ;; esac
	[ $privileged = 1 ] || raw_calls "$src/$folder/$name.c" |
		sed "s|^|$where: syscall() of |"
	pure=0
	in_list "$name" $PURE && pure=1
	"$nm" -u "$object" | awk '{ print $2 }' |
	while read -r symbol; do
		in_list "$symbol" $INSTRUMENTED && continue
		if [ $privileged = 0 ] && in_list "$symbol" $RESTRICTED; then
			echo "$where calls $symbol: only *setup.c, priv.c and sys.c may"
		fi
		if [ $pure = 1 ] && ! in_list "$symbol" $PURE_IMPORTS; then
			echo "$where calls $symbol: this module is pure"
		fi
	done
done)

if [ -n "$faults" ]; then
	printf '%s\n' "$faults"
	exit 1
fi

#!/bin/sh
# Bad policies, bad workspaces, hosts that lack something: one clear line, the right status, and
# nothing left mounted or running.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

refused() { # NAME STATUS PATTERN (of the line) COMMAND...: nothing on stdout, one agentsh: line
	r_name=$1 r_status=$2 r_pattern=$3
	shift 3
	"$@" >"$T/out" 2>"$T/err" </dev/null
	r_st=$?
	if [ $r_st = "$r_status" ] && [ ! -s "$T/out" ] && grep -qE -e "$r_pattern" "$T/err" && head -n 1 "$T/err" | grep -q '^agentsh: ' &&
		[ "$(wc -l <"$T/err")" -le "${LINES_MAX:-1}" ] && [ "$(wc -c <"$T/err")" -le 2000 ]; then ok "$r_name"; else
		nok "$r_name" "status $r_st (want $r_status), stdout $(wc -c <"$T/out") bytes, stderr:
$(cat "$T/err")"
	fi
}
policy() { # NAME STATUS PATTERN FILE
	PACK="--policy $4"
	refused "$1" "$2" "$3" wrap echo ran
	PACK='--pack code-edit'
}

# ---- policies ----
policy 'policy: missing' 125 'none.yaml' "$T/none.yaml"
policy 'policy: a directory' 125 "$W" "$W"
: >"$T/empty.yaml"
policy 'policy: empty' 125 'empty.yaml' "$T/empty.yaml"
head -c 100000 /dev/urandom >"$T/binary.yaml"
policy 'policy: binary' 125 'binary.yaml' "$T/binary.yaml"
{ printf 'version: 1\nname: big\ndescription: "'; head -c 3000000 /dev/zero | tr '\0' x; printf '"\n'; } >"$T/huge.yaml"
policy 'policy: 3 MB' 125 'huge.yaml' "$T/huge.yaml"
printf 'version: 1\nname: x\nextends: [loop-b.yaml]\n' >"$T/loop-a.yaml"
printf 'version: 1\nname: x\nextends: [loop-a.yaml]\n' >"$T/loop-b.yaml"
policy 'policy: extends itself through another' 125 'loop-' "$T/loop-a.yaml"
printf 'version: 1\nname: x\nextends: [nobody-knows]\n' >"$T/ext.yaml"
policy 'policy: extends what is not there' 125 'nobody-knows' "$T/ext.yaml"
printf 'version: 1\nname: x\nfile_rules:\n  - {name: a, paths: ["/**"], operations: [read], decison: deny}\n' >"$T/typo.yaml"
policy 'policy: a key with a typing error' 125 'typo.yaml:4:.*decision' "$T/typo.yaml"
printf 'version: 1\nname: x\nfile_rules:\n  - {name: a, paths: ["relative/**"], decision: allow}\n' >"$T/rel.yaml"
policy 'policy: a relative pattern' 125 'rel.yaml:4' "$T/rel.yaml"
printf 'version: 1\nname: x\nfile_rules: [\n' >"$T/half.yaml"
policy 'policy: half a file' 125 'half.yaml' "$T/half.yaml"
printf 'version: 99\nname: x\n' >"$T/ver.yaml"
policy 'policy: unknown version' 125 'ver.yaml:1' "$T/ver.yaml"
printf 'version: 1\nname: x\ncommand_rules:\n  - {name: a, commands: [x], args_patterns: ["("], decision: deny}\n' >"$T/re.yaml"
policy 'policy: a broken regular expression' 125 're.yaml:4' "$T/re.yaml"
printf 'version: 1\nname: x\na: &a [*a, *a]\n' >"$T/alias.yaml"
policy 'policy: an alias in itself' 125 'alias.yaml' "$T/alias.yaml"
$python -c 'print("version: 1\nname: x\nfile_rules: " + "[" * 100000)' >"$T/deep.yaml"
policy 'policy: 100000 levels' 125 'deep.yaml' "$T/deep.yaml"
mkfifo "$T/fifo.yaml"
policy 'policy: a fifo' 125 'fifo.yaml' "$T/fifo.yaml"
policy 'policy: /dev/zero' 125 '/dev/zero' /dev/zero
printf 'version: 1\nname: x\n' >"$T/secret.yaml" && chmod 000 "$T/secret.yaml"
if [ "$(as id -u)" != 0 ]; then policy 'policy: not readable' 125 'secret.yaml' "$T/secret.yaml"; fi
PACK='--pack no-such-pack'
refused 'pack: unknown' 125 'no-such-pack' wrap echo ran
PACK='--pack ../../etc/passwd'
refused 'pack: a path' 125 'passwd' wrap echo ran
PACK='--pack code-edit'

# ---- workspaces ----
refused 'workspace: missing' 125 'none' wrap -o "--workspace $T/none" echo ran
refused 'workspace: a file' 125 'empty.yaml' wrap -o "--workspace $T/empty.yaml" echo ran
refused 'workspace: /' 125 '/' wrap -o '--workspace /' echo ran
for d in /proc /sys /dev; do
	refused "workspace: $d" 125 "$d" wrap -o "--workspace $d" echo ran
done
refused 'workspace: the state directory' 125 'state' wrap -o "--workspace $T/state" echo ran
is 'workspace: above the state directory, which is not shown' \
	"$(wrap -o "--workspace $T" sh -c "ls '$T' | grep -x state; ls '$T/state' 2>/dev/null; cat '$T/empty.yaml' && echo seen" 2>&1)" seen
bad=$(printf 'b\377ad') && mkdir "$W/$bad" && own "$W"
refused 'workspace: a name that is not UTF-8' 125 'UTF-8' wrap -o "--workspace $W/$bad" echo ran
mkdir "$W/gone" && own "$W/gone"
refused 'workspace: removed' 125 'agentsh' sh -c "cd $W/gone && rmdir $W/gone && env -i HOME=$T/home PATH=$PATH AGENTSH_STATE_DIR=$T/state timeout -k 5 20 $AGENTSH wrap --isolate --quiet --pack code-edit -- echo ran"

no_leftover 'nothing is left'

# ---- hosts that lack something: a mount namespace of the test's own shows it so ----
lacking() { # NAME PATTERN SETUP
	cat >"$T/lack.sh" <<-END
		$3
		cd $W || exit 99
		exec timeout -k 5 30 $AGENTSH wrap --isolate --quiet --pack code-edit -- echo ran
	END
	own "$T"
	LINES_MAX=3 refused "$1" 125 "$2" as env -i HOME="$T/home" PATH="$PATH" AGENTSH_STATE_DIR="$T/state" \
		unshare "$lack_flags" sh "$T/lack.sh"
}
if [ "$(as id -u)" = 0 ]; then lack_flags=-m; else lack_flags=-rm; fi
lacking 'no /dev/fuse' 'fuse' "mkdir -p $T/nofuse; touch $T/nofuse/f; mount --bind $T/nofuse/f /dev/fuse || exit 99"
lacking 'no user namespaces' '(user namespace|max_user_namespaces)' 'unshare -U true; exec unshare -r sh -c "echo 0 >/proc/sys/user/max_user_namespaces; cd '"$W"'; exec timeout -k 5 30 '"$AGENTSH"' wrap --isolate --quiet --pack code-edit -- echo ran"'

# ---- the disk of the log is full ----
cat >"$T/full.sh" <<END
mkdir -p $T/small && mount -t tmpfs -o size=200k,mode=777 none $T/small || exit 99
dd if=/dev/zero of=$T/small/fill bs=1k count=300 2>/dev/null
cd $W || exit 99
AGENTSH_STATE_DIR=$T/small/state timeout -k 5 30 $AGENTSH wrap --isolate --quiet --pack code-edit -- echo ran
echo "status \$?" >&2
umount -l $T/small
END
own "$T/full.sh"
as env -i HOME="$T/home" PATH="$PATH" unshare "$lack_flags" sh "$T/full.sh" >"$T/out" 2>"$T/err" </dev/null
is 'full disk: the command does not run' "$(cat "$T/out")" ''
like 'full disk: 125' "$(cat "$T/err")" '^status 125'
like 'full disk: says so' "$(cat "$T/err")" '^agentsh: .*(space|full|log)'

# a state directory that is a file, that cannot be written
: >"$T/file"
refused 'state directory: a file' 125 "$T/file" sh -c "cd $W && env -i HOME=$T/home PATH=$PATH AGENTSH_STATE_DIR=$T/file timeout -k 5 20 $AGENTSH wrap --isolate --quiet --pack code-edit -- echo ran"
no_leftover 'nothing is left after all'
done_testing

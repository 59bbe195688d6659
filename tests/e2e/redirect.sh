#!/bin/sh
# The verdict redirect: the agent works on its own path, the bytes are somewhere else.
# shellcheck disable=SC2016,SC2154
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$T/p.yaml" <<END
version: 1
name: elsewhere
extends: [code-edit]
file_rules:
  - {name: tree, paths: ["\${WORKSPACE}/out/**"], operations: ["*"], decision: redirect, redirect_to: $T/host/tree, preserve_tree: true}
  - {name: flat, paths: ["\${WORKSPACE}/*.log"], operations: [create, write, delete], decision: redirect, redirect_to: $T/host/logs}
  - {name: single, paths: ["\${WORKSPACE}/one/**"], operations: [create, write], decision: redirect, redirect_to: $T/host/single}
END
PACK="--policy $T/p.yaml"
as mkdir "$T/host"
begin() {
	fresh
	as sh -c 'rm -rf "$2"/tree "$2"/logs && echo old >"$2/single" && mkdir "$1/out" "$1/one" && echo first >"$1/out/have" && chmod 640 "$1/out/have" && echo old >"$1/old.log" && echo plain >"$1/plain"' sh "$W" "$T/host"
}
inside() { wrap sh -c "$1" >"$T/out" 2>"$T/err"; }

begin
inside 'umask 022; echo a >out/x && cat out/x && mkdir -p out/s/t && echo b >out/s/t/f && cat out/s/t/f && stat -c %s out/x && ls out out/s/t'
is 'made, read, listed under its own name' "$? $(tr '\n' ' ' <"$T/out")$(cat "$T/err")" '0 a b 2 out: have s x  out/s/t: f '
is '... and stored elsewhere' "$(cd "$T/host/tree" && grep -r . . | sort | tr '\n' ' ')" './out/s/t/f:b ./out/x:a '
is '... not in the workspace' "$(ls "$W/out")" have
is '... owned by the caller' "$(stat -c '%u %a' "$T/host/tree/out/x")" "$(as id -u) 644"
log=$(ctl audit cat --json --session last)
like 'the record: decision, rule, where to' "$log" '"op":"create","decision":"redirect","verdict":"redirect","rule":"tree".*"to":"[^"]*/host/tree/out/x"'
like '... of a directory as well' "$log" '"op":"mkdir","decision":"redirect".*"to":"[^"]*/host/tree/out/s"'

begin
inside 'cat out/have; echo second >>out/have; cat out/have; : >old.log; echo new >>old.log; cat old.log; truncate -s 3 out/have; cat out/have'
is 'changed: what was there is copied first' "$(tr '\n' ' ' <"$T/out")" 'first first second new fir'
is '... the original stays' "$(cat "$W/out/have" "$W/old.log" | tr '\n' ' ')" 'first old '
is '... the mode goes along' "$(stat -c %a "$T/host/tree/out/have")" 640
like '... and the copy is recorded' "$(ctl audit cat --json --session last)" '"op":"copy_up","decision":"redirect"'
inside 'cat out/have old.log; echo a >out/a'
is 'the next session goes on with it' "$(tr '\n' ' ' <"$T/out")" 'firnew '
inside 'cat out/a && ls out'
is '... and lists what the last one made' "$(tr '\n' ' ' <"$T/out")" 'a a have '

begin
inside 'echo 1 >out/t.tmp && mv out/t.tmp out/t && cat out/t && ls out && rm out/t && ls out && mkdir out/d && rmdir out/d && ls out; echo 2 >n.log && rm n.log && ls'
is 'renamed and deleted' "$? $(tr '\n' ' ' <"$T/out")$(cat "$T/err")" '0 1 have t have have old.log one out plain '
is '... at the target' "$(find "$T/host/tree" "$T/host/logs" -type f)" ''
inside 'echo x >one/a; cat one/a one/b 2>/dev/null; echo y >>one/b; cat one/a'
is 'redirect_to a file: all names are that file' "$(tr '\n' ' ' <"$T/out")$(tr '\n' ' ' <"$T/host/single")" 'x x x y x y '

begin
inside 'exec 2>&1; rm out/have; mv plain out/p && cat out/p; mv out/p q && cat q; ln q out/l; ln -s q out/s; mkfifo out/f; mv out moved; ls'
like 'what was there before cannot be deleted' "$(cat "$T/out")" 'cannot remove .out/have.: Permission denied'
like 'moving in and out copies' "$(grep -x plain "$T/out" | tr '\n' ' ')" '^plain plain $'
like 'no link across' "$(cat "$T/out")" 'ln: .*out/l.*cross-device'
like 'no symbolic link, no fifo' "$(grep -c 'Permission denied' "$T/out")" '^[3-9]$'
is 'the workspace and the target are as they should be' "$(find "$W" "$T/host/tree" -type f -o -type l | sort | sed "s|$T||" | tr '\n' ' ')" '/work/moved/have /work/old.log /work/out/have /work/q '

# the agent cannot lead fsgate anywhere else
begin
as mkdir "$T/outside"
sed "s|$T/host/tree|$W/scratch|" "$T/p.yaml" >"$T/in.yaml"
PACK="--policy $T/in.yaml"
inside 'mkdir -p scratch && rm -rf scratch/out && ln -s '"$T"'/outside scratch/out; echo evil >out/x; ls out; rm scratch/out; mkdir scratch/out; ln -s '"$T"'/outside/y scratch/out/y; echo evil >out/y; cat out/y'
is 'links of the agent in the target are not followed' "$(as ls -A "$T/outside")" ''
rm -rf "$W/scratch" && as ln -s "$T/outside" "$W/scratch"
inside true
is 'a link in redirect_to: the session does not start' $? 125
like '... and says why' "$(cat "$T/err")" 'redirect_to .*/scratch.* symbolic link'
no_leftover 'nothing is left'
done_testing

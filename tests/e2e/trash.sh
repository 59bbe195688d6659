#!/bin/sh
# soft_delete and agentsh trash: what the agent deletes is kept, comes back as it was, and cannot be
# reached by the agent. shellcheck disable=SC2016,SC2154
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$T/p.yaml" <<'END'
version: 1
name: keeping
extends: [code-edit]
trash: {ttl: 7d}
file_rules:
  - {name: keep, paths: ["${WORKSPACE}/keep/**"], operations: [delete, rmdir, rename], decision: soft_delete}
END
PACK="--policy $T/p.yaml"
K=$W/keep

trash() { ctl trash "$@"; }
tokens() { trash list | awk 'length($1) == 12 { print $1 }'; }
empty() { ctl trash purge --all >/dev/null 2>&1; fresh; as mkdir -p "$K"; }
state_of() { # DIR: everything about what is in it (a directory's time is that of its last removal)
	(cd "$1" && find . \( ! -type d -o -empty \) -printf '%p %T@\n' , -printf '%p %y %m %u %g %l\n' | sort
	find . -type f -exec sha256sum {} + | sort -k2
	$python - <<'END'
import os
for d, ds, fs in os.walk('.'):
    for n in sorted(ds + fs):
        p = os.path.join(d, n)
        for a in sorted(os.listxattr(p, follow_symlinks=False)):
            if a.startswith('user.'):
                print(p, a, os.getxattr(p, a))
END
	)
}
xattr() { as $python -c 'import os,sys
try: os.setxattr(sys.argv[1], "user.note", b"a\n\0b")
except OSError: pass' "$1"; }

# ---- a tree, and back ----
empty
as sh -c 'cd "$1" && mkdir -p d/e d/empty && echo one >d/one && echo two >"d/e/t w o
2" && ln -s nowhere d/link && mkfifo d/fifo && printf "\377x" >"d/$(printf "\376")" &&
	chmod 640 d/one && chmod 700 d/empty && chmod 751 d/e && head -c 300000 /dev/urandom >d/big' sh "$K"
xattr "$K/d/one"
xattr "$K/d/e"
as sh -c 'cd "$1" && touch -h -d "2001-02-03 04:05:06.789" d/one d/link && touch -d 2002-01-01 d/empty d/e d' sh "$K"
state_of "$K" | grep -av '^\. ' >"$T/before"
as cp -a "$K/d" "$T/copy"
inode=$(stat -c %i "$K/d/big")
wrap -o '--name tree' sh -c 'rm -rf keep/d && ls -A keep' >"$T/out" 2>"$T/err"
is 'rm -rf: status, and nothing is there' "$? $(cat "$T/out" "$T/err")" '0 '
[ ! -e "$K/d" ] && ok 'nothing is on the host either' || nok 'nothing is on the host either'
is 'each entry is kept' "$(tokens | wc -l)" "$(find "$T/copy" -printf x | wc -c)"
log=$(ctl audit cat --json --session tree)
like 'the record: decision, rule, token, hash' "$log" \
	'"op":"delete","decision":"soft_delete","verdict":"soft_delete","rule":"keep".*"path":"[^"]*/keep/d/one","token":"[0-9a-f]{12}","sha256":"'"$(printf 'one\n' | sha256sum | cut -c1-64)"
like 'the record says how to get it back' "$log" '"message":"kept: agentsh trash restore [0-9a-f]{12}"'
like 'no hash of a large file' "$(printf '%s\n' "$log" | grep 'keep/d/big' | grep -v sha256)" '"token"'
[ -n "$(find "$T/state/trash" -name '*.data' -inum "$inode")" ] && ok 'a file is moved, not copied' || nok 'a file is moved, not copied'
json=$(trash list --json)
like 'list --json' "$(printf '%s' "$json" | $python -c 'import json, sys
t = [x for x in json.load(sys.stdin) if x["host_path"].endswith("/keep/d/one")]
print(len(t), t[0]["session"], t[0]["why"], t[0]["type"], oct(t[0]["mode"]), t[0]["size"], t[0]["rule"], t[0]["expires"] - t[0]["deleted"])')" \
	'^1 tree delete file 0o640 4 keep 604800$'
try 'restore a directory by its path' trash restore "$K/d"
state_of "$K" | grep -av '^\. ' >"$T/after"
is 'all is as it was' "$(diff -a "$T/before" "$T/after")" ''
is 'nothing is left in the trash' "$(tokens | wc -l)$(as ls -A "$T/state/trash")" 0

# ---- one file: overwriting, elsewhere, missing parents ----
empty
as sh -c 'mkdir "$1/a" && echo first >"$1/a/f"' sh "$K"
wrap sh -c 'rm keep/a/f && echo second >keep/a/f && rm keep/a/f && echo third >keep/a/f'
is 'two states are kept' "$(tokens | wc -l)" 2
trash restore "$K/a/f" >"$T/out" 2>&1
is 'what is there now is not overwritten: status' $? 1
like '... and it says what to do' "$(cat "$T/out")" 'something is there now; --to PATH .* --force'
is '... and it is still there' "$(cat "$K/a/f")" third
try '--force replaces it' trash restore --force "$K/a/f"
is '... by the newest state' "$(cat "$K/a/f")" second
token=$(tokens)
is 'the store is closed to others' "$(stat -c '%a %u' "$T/state/trash" "$T/state/trash/$token.meta" | tr '\n' ' ')" "700 $(as id -u) 600 $(as id -u) "
try 'elsewhere, by token' trash restore --to "$W/new/deep/f2" "$token"
is '... with parents made' "$(cat "$W/new/deep/f2")" first
wrap sh -c 'rm keep/a/f && rmdir keep/a'
try 'missing parents come back' trash restore "$K/a/f"
is '... with the file' "$(cat "$K/a/f")" second
trash restore 000000000000 >"$T/out" 2>&1
is 'an unknown token: status 1' $? 1
trash restore >/dev/null 2>&1
is 'no argument: status 2' $? 2

# ---- a workspace that the sandbox sees at another path ----
empty
as sh -c 'echo moved >"$1/m"' sh "$K"
wrap -o '--mount-at /proj' sh -c 'rm /proj/keep/m'
try 'by the path that the sandbox saw' trash restore /proj/keep/m
is '... to where it is on the host' "$(cat "$K/m")" moved

# ---- what takes content away without deleting ----
empty
as sh -c 'cd "$1" && echo old >over && echo old >trunc && echo old >cut && echo old >fd && echo keep >write && : >none && echo old >away && mkdir sub && echo s >sub/s' sh "$K"
wrap -o '--name taken' sh -c 'cd keep && echo new >n && mv n over && : >trunc && : >none && truncate -s 1 cut &&
	python3 -c "import os; f = os.open(\"fd\", os.O_RDWR); os.ftruncate(f, 0)
w = os.open(\"write\", os.O_RDWR); os.write(w, b\"K\")" && mv away ../away && mv sub ../sub && cat over ../away ../sub/s write' >"$T/out" 2>"$T/err"
is 'replaced, truncated, moved away: the agent sees success' "$? $(cat "$T/out" "$T/err" | tr '\n' ' ')" '0 new old s Keep '
is 'each kept for its reason' "$(trash list | awk '{ sub(/.*\//, "", $6); if ($6 != "") print $4, $6 }' | sort | tr '\n' ' ')" \
	'delete s rename away replace over truncate cut truncate fd truncate trunc '
like 'a truncation is recorded with its token' "$(ctl audit cat --json --session taken)" \
	'"op":"open","decision":"soft_delete","verdict":"allow".*"path":"[^"]*/keep/trunc".*"token"'
for f in over trunc cut fd away; do
	trash restore --force "$K/$f" >"$T/out" 2>&1 && [ "$(cat "$K/$f")" = old ] &&
		ok "$f is back" || nok "$f is back" "$(cat "$T/out")"
done
wrap sh -c 'cd keep && ln over same && python3 -c "import os; os.rename(\"over\", \"same\")" && ls over same' >"$T/out" 2>&1
is 'renaming one name of a file over another of it does nothing' "$? $(tr '\n' ' ' <"$T/out")" '0 over same '
wrap sh -c 'cd keep && mkdir x y && echo 1 >x/f && mv -T x y 2>&1; mkdir z && echo 1 >z/f; mv -T y z' >"$T/out" 2>&1
like 'a directory that is not empty is not replaced' "$(cat "$T/out")" 'not empty'
wrap sh -c 'cd keep && python3 -m venv --without-pip v && python3 -m venv --without-pip v && v/bin/python -c "print(1)"' >"$T/out" 2>"$T/err"
is 'python -m venv over an older one' "$? $(cat "$T/out" "$T/err")" '0 1'

# ---- what the agent cannot do ----
empty
as sh -c 'cd "$1" && for f in w r l n c; do echo precious >$f; done' sh "$K"
cat >"$W/hostile.py" <<'END'
import os, subprocess
w = os.open("w", os.O_RDWR)
r = os.open("r", os.O_RDONLY)
p = os.open("c", os.O_PATH)
os.link("l", "l2")
for f in "wrlnc":
    os.unlink(f)
os.write(w, b"HOSTILE!")
def must_not(what, fn):
    try:
        fn()
        print(what)
    except OSError:
        pass
for fd in (w, r, p):
    me = "/proc/self/fd/%d" % fd
    def scribble():
        f = os.open(me, os.O_RDWR)
        os.write(f, b"HOSTILE!")
    for fn in (scribble, lambda: os.truncate(me, 0), lambda: os.chmod(me, 0o777),
               lambda: os.link(me, "again%d" % fd, follow_symlinks=True)):
        try: fn()
        except OSError: pass
open("l2", "w").write("HOSTILE!")
os.fchmod(w, 0o777)
print(os.read(r, 8).decode(), os.fstat(r).st_nlink)
state = os.environ["STATE"]
for d in (state, state + "/trash", "/proc/1/root" + state + "/trash"):
    must_not("listed " + d, lambda: os.listdir(d))
    must_not("wrote " + d, lambda: open(d + "/x", "w"))
END
own "$W/hostile.py"
wrap -o "--env STATE=$T/state" sh -c 'cd keep && python3 ../hostile.py' >"$T/out" 2>"$T/err"
is 'open files go on as natively; the store cannot be found' "$? $(cat "$T/out" "$T/err")" '0  0'
for f in w r l n c; do
	trash restore --force "$K/$f" >"$T/out" 2>&1
	is "nothing that the agent held changed $f" "$(cat "$K/$f") $(stat -c %a "$K/$f")" 'precious 644'
done
unlike 'no second name of a kept file' "$(cat "$K"/again* 2>/dev/null)" precious

empty
as sh -c 'mkdir -p "$1/d/e" && echo in >"$1/d/e/f" && mkdir "$2/outside"' sh "$K" "$T"
wrap sh -c 'rm -r keep/d && ln -s '"$T"'/outside keep/d && mkdir keep/g && ln -s '"$T"'/outside keep/g/l'
trash restore "$K/d/e/f" >"$T/out" 2>&1
is 'restore through a link of the agent: refused' $? 1
like '... and says why' "$(cat "$T/out")" 'a symbolic link stands where a directory was'
trash restore --to "$K/g/l/x" "$K/d/e/f" >"$T/out" 2>&1
is '--to through a link: refused' $? 1
is 'nothing went outside' "$(ls -A "$T/outside")" ''
try 'the file can be had elsewhere' trash restore --to "$W/f" "$K/d/e/f"

# ---- many at once, a gate that dies, limits ----
empty
as sh -c 'cd "$1" && for i in $(seq 200); do echo $i >f$i; done' sh "$K"
wrap sh -c 'cd keep; for j in 0 1 2 3; do (for i in $(seq $((j * 50 + 1)) $((j * 50 + 50))); do rm f$i; done) & done; wait; ls' >"$T/out" 2>&1
is 'four at once: all gone' "$(cat "$T/out")" ''
is '... each under a token of its own' "$(tokens | sort -u | wc -l)" 200
try '... and all come back' trash restore "$K"
is '... with their content' "$(cat "$K"/f* | sort -n | tail -n 1) $(cat "$K"/f* | wc -l)" '200 200'

# four processes replace, delete, cut, rename and link the same four names
empty
cat >"$W/churn.py" <<'END'
import os, random
def churn(k):
    r = random.Random(k)
    some = lambda: "keep/s%d" % r.randrange(4)
    for i in range(80):
        with open("keep/t%d" % k, "w") as f:
            f.write("%d-%d\n" % (k, i))
        while True:
            try:
                os.rename("keep/t%d" % k, some())
                break
            except OSError as e: # a name that is replaced just now (FSGATE.md)
                if e.errno != 116:
                    raise
        try:
            (lambda: os.unlink(some()), lambda: os.truncate(some(), 0), lambda: os.rename(some(), some()),
             lambda: open(some()).read(), lambda: os.link(some(), "keep/l%d-%d" % (k, i)))[r.randrange(5)]()
        except OSError: # not there, or replaced just now
            pass
children = []
for k in range(4):
    pid = os.fork()
    if pid == 0:
        churn(k)
        os._exit(0)
    children.append(pid)
print([os.waitpid(p, 0)[1] for p in children])
END
own "$W/churn.py"
wrap python3 churn.py >"$T/out" 2>&1
is 'four at the same names: none fails' "$(cat "$T/out")" '[0, 0, 0, 0]'
is '... and no content is lost' "$(cat "$K"/* "$T/state/trash"/*.data | grep -a -- - | sort -u | wc -l)" 320

empty
as sh -c 'cd "$1" && for i in $(seq 600); do echo $i >f$i; done' sh "$K"
background wrap sh -c 'cd keep && rm f*'
some() { [ "$(find "$T/state/trash" -name '*.data' 2>/dev/null | wc -l)" -gt 20 ]; }
until_true some
kill -9 "$(e2e_processes | sed -n 's|^/proc/\([0-9]*\) .*agentsh-fsgate.*|\1|p' | head -n 1)" 2>/dev/null
wait
{ ls "$K"; trash list | sed 's|.*/||'; } | sort -u >"$T/out"
is 'fsgate killed while it kept files: none is lost' "$(wc -l <"$T/out")" 600
trash restore "$K" >/dev/null 2>&1
is '... and all can be had' "$(cat "$K"/f* | sort -un | wc -l)" 600

empty
sed 's/ttl: 7d/ttl: 7d, max_count: 3/' "$T/p.yaml" >"$T/few.yaml"
PACK="--policy $T/few.yaml"
as sh -c 'cd "$1" && echo 1 >f1; echo 2 >f2; echo 3 >f3; echo 4 >f4' sh "$K"
wrap sh -c 'cd keep; rm f1 f2 f3; rm f4' >"$T/out" 2>&1
is 'over max_count: rm fails' $? 1
is '... and the file is untouched' "$(cat "$K/f4")" 4
wrap sh -c 'rm keep/f4' 2>"$T/err"
is 'the next session may keep as many again' $? 0
is '... and at its end the oldest goes' "$(trash list | sed 's|.*/||' | sort | tr '\n' ' ')" 'f2 f3 f4 '
PACK="--policy $T/p.yaml"
token=$(trash list "$K/f2" | awk '{ print $1 }')
as sed -i 's/^expires .*/expires 1/' "$T/state/trash/$token.meta"
like 'purge --expired --dry-run only tells' "$(trash purge --expired --dry-run; tokens | wc -l)" '^3$'
trash purge --expired >"$T/out"
like 'purge --expired' "$(cat "$T/out")" '/keep/f2$'
is '... only that one' "$(tokens | wc -l)" 2
as sed -i 's/^expires .*/expires 1/' "$T/state/trash/$(trash list "$K/f3" | awk '{ print $1 }').meta"
wrap true
is 'a session purges what is too old' "$(trash list | sed 's|.*/||')" f4
as sh -c 'echo outside >"$1/o" && ln -sf "$1/o" "$1/state/trash/$2.data"' sh "$T" "$(tokens)"
trash purge --all >/dev/null 2>&1
is 'purge follows no link' "$(cat "$T/o")" outside

# ---- a store on another mount, or another file system ----
if [ "$(as id -u)" = 0 ] && unshare -m true 2>/dev/null; then
	empty
	echo old >"$K/f" && echo old >"$K/g"
	(cd "$T" && e2e_env unshare -m sh -c 'mount --bind "$1" "$1" && cd "$1" && exec timeout 60 "$2" wrap \
		--isolate --quiet --policy "$3" -- sh -c "cd keep && rm f && echo new >n && mv n g && cat g && ls"' \
		sh "$W" "$AGENTSH" "$T/p.yaml") >"$T/out" 2>&1
	is 'another mount: deleted and replaced' "$(tr '\n' ' ' <"$T/out")" 'new g '
	trash restore --force "$K" >/dev/null 2>&1
	is '... and back' "$(cat "$K/f" "$K/g" | tr '\n' ' ')" 'old old '
else
	skip 'another mount' 'needs root'
fi
other=$(as mktemp -d /dev/shm/agentsh-test.XXXXXX 2>/dev/null)
if [ -n "$other" ] && [ "$(stat -c %d "$other")" != "$(stat -c %d "$T")" ]; then
	ctl trash purge --all >/dev/null 2>&1
	as sh -c 'cd "$1" && mkdir keep && echo far >keep/f && chmod 604 keep/f && touch -d 2001-01-01 keep/f && echo far >keep/g && ln -s f keep/l' sh "$other"
	(W=$other wrap sh -c 'rm keep/f keep/l; echo x >keep/x && mv keep/x keep/g; ls keep') >"$T/out" 2>&1
	is 'another file system: deleted and replaced' "$(cat "$T/out")" g
	trash restore --force "$other/keep" >"$T/out" 2>&1
	is '... and back' "$(cat "$other/keep/f" "$other/keep/g" | tr '\n' ' ')$(stat -c '%a %Y' "$other/keep/f") $(readlink "$other/keep/l")" \
		"far far 604 $(date -d 2001-01-01 +%s) f"
	if [ "$(as id -u)" != 0 ]; then
		as chmod 0 "$other/keep/f"
		(W=$other wrap sh -c 'rm -f keep/f') >"$T/out" 2>&1
		is 'no copy can be made: rm fails' $? 1
		as chmod 644 "$other/keep/f"
		is '... and the file is untouched' "$(cat "$other/keep/f")" far
	fi
else
	skip 'another file system' '/dev/shm is none'
fi
[ -z "$other" ] || rm -rf "$other"
no_leftover 'nothing is left'
done_testing

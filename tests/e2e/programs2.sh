#!/bin/sh
# Bigger programs with data of their own do the same inside as outside: databases, package managers,
# a compiler's whole job. What is not installed is left out by name.
set -u
# A toolchain in a home directory is not seen inside: it is shown below /opt, to this script alone.
rust=$(ls -d /root/.rustup/toolchains/stable-*/ 2>/dev/null | tail -1)
if [ "$(id -u)" = 0 ] && [ -z "${E2E_USER:-}${PROGRAMS2_RUST:-}" ] && [ -d "$rust" ]; then
	# shellcheck disable=SC2016
	exec unshare -m sh -c 'mount -t tmpfs -o mode=755 none /opt && mkdir /opt/rust &&
		mount --bind "$1" /opt/rust && shift && PROGRAMS2_RUST=/opt/rust/bin exec "$@"' sh "$rust" "$0" "$@"
fi
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
E2E_LIMIT=180 LIMIT=180
only=${1:-}

inside() { # NAME WANT SCRIPT: what it prints, inside only (where the outside takes as long)
	fresh
	inside_out=$(wrap sh -c "$3" 2>"$T/err2" </dev/null)
	if [ "$inside_out" = "$2" ]; then ok "$1"; else
		nok "$1" "$(printf '%s\n' "$2" >"$T/out1"; printf '%s\n' "$inside_out" | diff -u "$T/out1" - | head -30)
stderr: $(tail -n 12 "$T/err2")"
	fi
}

have() { # PROGRAM CASE: is it there? Otherwise the case is skipped
	if [ -n "${SANITIZE:-}" ] && [ "$1" = npm ]; then
		skip "$2" 'slow; the plain build has it'
		return 1
	fi
	command -v "$1" >/dev/null && return 0
	skip "$2" "$1 is not installed"
	return 1
}

# postgres does not run as root
postgres=$(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | tail -1)
postgres_case() {
	inside "$pg" 'processed: 200/200
failed: 0
200
20000
0
0' "PATH=\$PATH:$postgres; export PGHOST=\$PWD/s PGUSER=me; mkdir s; start() { pg_ctl -w -s -D d -l log -o \"-k \$PGHOST -h ''\" start || cat log; }
		initdb -D d -A trust -U me --no-sync >/dev/null && start
		createdb x && pgbench -i -s 1 -q x >/dev/null 2>&1; pgbench -c 2 -t 100 -n x 2>&1 | sed -n 's/^number of transactions actually //p; s/^number of failed transactions: \([0-9]*\).*/failed: \1/p'
		psql -Atc 'select count(*) from pgbench_history' x
		psql -Atq -c 'checkpoint' -c 'create table t as select g, md5(g::text) m from generate_series(1, 20000) g' -c 'create index on t(m)' -c 'select count(*) from t where m = md5(g::text)' -c 'drop table t' -c 'vacuum' x
		pg_ctl -s -D d -m immediate stop; start
		psql -Atc 'select sum(abalance) - (select sum(delta) from pgbench_history) from pgbench_accounts' x; pg_ctl -s -D d -m fast stop; echo \$?"
}
pg='postgres: initdb, pgbench, crash, recovery'
if [ -z "$postgres" ] || [ ! -x "$postgres/initdb" ]; then
	skip "$pg" 'postgresql is not installed'
elif [ "$(id -u)" != 0 ] || [ -n "$AS" ]; then
	postgres_case
elif ! pg_out=$(E2E_USER=nobody timeout 300 "$0" postgres 2>&1); then
	nok "$pg" "$pg_out"
else
	ok "$pg, as nobody"
fi
if [ "$only" = postgres ]; then
	no_leftover 'nothing is left'
	done_testing
fi

# ---- git with more than a handful of files ----
same 'git: 200 files, branches, merge, gc, clone, worktree' 'git init -q -b main . && mkdir -p a b c &&
	i=0; while [ $i -lt 200 ]; do echo "line $i" >a/$i; i=$((i+1)); done
	cp -r a b/ && git add . && git commit -qm one && git checkout -qb side && for i in a/1*; do echo side >>$i; done &&
	git commit -qam two && git checkout -q main && git mv b c/moved && for i in a/2*; do echo main >>$i; done && git commit -qam three &&
	git merge -q -m merged side && git status --short && git gc -q && git fsck --full --strict && git clone -q . ../work/copy &&
	git -C copy log --format="%H %s" && git worktree add -q wt side && git -C wt status --short --branch &&
	git worktree remove wt && rm -rf copy && git stash list && git ls-files | wc -l && git rev-parse HEAD^{tree}'

same 'make: 40 files, -j4, nothing to do, one changed' 'i=0; while [ $i -lt 40 ]; do printf "int f%d(int x) { return x + %d; }\n" $i $i >f$i.c; i=$((i+1)); done
	printf "CFLAGS = -O0\nprog: main.o \$(patsubst %%.c,%%.o,\$(wildcard f*.c))\n\t\$(CC) -o \$@ \$^\n" >Makefile
	printf "int f39(int); int main(void) { return f39(3); }\n" >main.c
	make -s -j4 && ./prog; echo $?; make -q; echo $?; sleep 0.01; echo "/* */" >>f7.c; make -n | grep -c -- -c; make -s && ./prog; echo $?; ls | wc -l'

# ---- databases ----
sqlite='
import sqlite3, os, threading
for mode in ("delete", "wal", "truncate", "persist"):
    p = mode + ".db"
    d = sqlite3.connect(p, isolation_level=None)
    print(d.execute("pragma journal_mode=" + mode).fetchone())
    d.execute("create table t(a integer primary key, b text)")
    for i in range(20):
        d.execute("begin"); d.executemany("insert into t(b) values(?)", [(str(j) * 50,) for j in range(50)])
        d.execute("rollback" if i % 5 == 4 else "commit")
    def work(k):
        c = sqlite3.connect(p, timeout=60, isolation_level=None)
        for i in range(10):
            c.execute("begin immediate"); c.execute("update t set b = b || ? where a = ?", (str(k), i + 1)); c.execute("commit")
        c.close()
    ts = [threading.Thread(target=work, args=(k,)) for k in range(3)]
    [t.start() for t in ts]; [t.join() for t in ts]
    print(d.execute("select count(*), sum(length(b)) from t").fetchone(), d.execute("pragma integrity_check").fetchone())
    d.execute("delete from t where a % 2"); d.execute("vacuum"); print(d.execute("pragma integrity_check").fetchone())
    d.close()
print(sorted(os.listdir(".")))'
printf '%s\n' "$sqlite" >"$T/sqlite.py"
mkdir -p "$T/template" && cp "$T/sqlite.py" "$T/template/"
same 'sqlite: four journal modes, writers side by side' "$python sqlite.py"
have sqlite3 'sqlite3: killed in a transaction' &&
	same 'sqlite3: killed in a transaction' 'sqlite3 k.db "pragma journal_mode=wal; create table t(a); insert into t values(1);" &&
		(printf "begin;\ninsert into t values(2);\n.shell kill -9 \$PPID\n" | sqlite3 k.db) >/dev/null 2>&1
		sqlite3 k.db "select * from t; pragma integrity_check;"'

# ---- package managers, with packages that are here ----
if have npm 'npm: install of a tarball, run, ci'; then
	mkdir -p "$T/template/npm/dep" "$T/template/npm/app"
	printf '{"name":"dep","version":"1.2.3","bin":{"dep":"cli.js"}}\n' >"$T/template/npm/dep/package.json"
	printf '#!/usr/bin/env node\nconsole.log("dep " + process.argv.slice(2));\n' >"$T/template/npm/dep/cli.js"
	printf 'module.exports = x => x * 2;\n' >"$T/template/npm/dep/index.js"
	printf '{"name":"app","version":"1.0.0","scripts":{"go":"dep 1 2 && node -p \\"require(\\\\\\"dep\\\\\\")(21)\\""}}\n' >"$T/template/npm/app/package.json"
	inside 'npm: install of a tarball, run, ci' 'dep-1.2.3.tgz
dep 1,2
42
.bin
.package-lock.json
dep
dep 1,2
42' 'cd npm && export npm_config_cache=$PWD/cache npm_config_offline=true npm_config_audit=false npm_config_fund=false npm_config_update_notifier=false &&
		npm pack --silent ./dep && cd app && npm install --silent ../dep-1.2.3.tgz && npm run --silent go && ls -A node_modules && rm -r node_modules && npm ci --silent && npm run --silent go'
fi

if [ -z "${SANITIZE:-}" ] && $python -c 'import ensurepip' 2>/dev/null; then
	mkdir -p "$T/template/pkg/thing"
	printf 'print("thing runs")\ndef main(): print("from the entry point")\n' >"$T/template/pkg/thing/__init__.py"
	printf '%s\n' 'import zipfile, hashlib, base64' 'files = {"thing/__init__.py": open("pkg/thing/__init__.py").read(),' \
		' "thing-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: thing\nVersion: 1.0\n",' \
		' "thing-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",' \
		' "thing-1.0.dist-info/entry_points.txt": "[console_scripts]\nthing = thing:main\n"}' \
		'rec = "".join("%s,sha256=%s,%d\n" % (n, base64.urlsafe_b64encode(hashlib.sha256(t.encode()).digest()).rstrip(b"=").decode(), len(t)) for n, t in files.items())' \
		'z = zipfile.ZipFile("thing-1.0-py3-none-any.whl", "w")' '[z.writestr(n, t) for n, t in files.items()]' \
		'z.writestr("thing-1.0.dist-info/RECORD", rec + "thing-1.0.dist-info/RECORD,,\n"); z.close()' >"$T/template/wheel.py"
	inside 'python: venv, pip install of a wheel, entry point, uninstall' "thing runs
from the entry point
thing==1.0
ModuleNotFoundError: No module named 'thing'" "$python wheel.py && $python -m venv v && export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 &&
		v/bin/pip install -q --no-index ./thing-1.0-py3-none-any.whl && v/bin/thing && v/bin/pip list --format=freeze | grep thing && v/bin/python -m compileall -q v/lib/python3*/site-packages/thing &&
		v/bin/pip uninstall -q -y thing && v/bin/python -c 'import thing' 2>&1 | tail -1"
else
	skip 'python: venv, pip install of a wheel, entry point, uninstall' 'python3-venv is not installed, or slow with sanitizers'
fi

PATH=$PATH${PROGRAMS2_RUST:+:$PROGRAMS2_RUST}
if (cd / && as env -i PATH="$PATH" HOME="$T/home" sh -c 'cargo --version && rustc --version' >/dev/null 2>&1); then
	mkdir -p "$T/template/crate/src" "$T/template/crate/tests"
	printf '[package]\nname = "small"\nversion = "0.1.0"\nedition = "2021"\n' >"$T/template/crate/Cargo.toml"
	printf 'pub fn twice(x: u32) -> u32 { x * 2 }\n' >"$T/template/crate/src/lib.rs"
	printf 'fn main() { println!("{}", small::twice(21)); }\n' >"$T/template/crate/src/main.rs"
	printf '#[test] fn t() { assert_eq!(small::twice(2), 4); }\n' >"$T/template/crate/tests/t.rs"
	inside 'cargo: build, run, test, nothing to do' '42
1
0' 'cd crate && export CARGO_HOME=$PWD/home && cargo build -q --offline && cargo run -q --offline && cargo test -q --offline 2>&1 | grep -c "1 passed"; cargo build --offline 2>&1 | grep -c Compiling'
else
	skip 'cargo: build, run, test, nothing to do' 'cargo is not installed for everybody'
fi

# ---- tools ----
same 'rsync: modes, times, links, deletions' 'umask 022; mkdir -p s/d/e && echo 1 >s/f && ln s/f s/hard && ln -s f s/l && chmod 640 s/f && touch -d @1000000000 s/d/e s/f && truncate -s 1M s/sparse &&
	rsync -aHS s/ t/ && diff -r s t && stat -c "%n %a %h %Y %F" t/f t/hard t/d/e && readlink t/l && rm s/hard && rsync -aH --delete s/ t/ && ls t && rsync -aHni s/ t/; stat -c %h t/f'
same 'vim: edit, backup, swap file, undo file' 'printf "one\ntwo\nthree\n" >f && vim -es -u NONE -c "set backup undofile swapfile" -c "2s/two/TWO/" -c "w" -c "1d" -c "wq" f; echo $?; cat f; ls -A; vim -es -u NONE -c "set undofile" -c "undo" -c "wq" f; cat f'
have rg 'ripgrep: a tree, ignored files, replaced output' &&
	same 'ripgrep: a tree, ignored files, replaced output' 'mkdir -p a/b && git init -q . && printf "needle\n" >a/b/x && printf "hay\n" >a/y && cp a/b/x a/ignored && echo ignored >.gitignore && rg -n needle | sort && rg -c . --sort path && rg --files --sort path && rg -uu -l needle | sort && rg needle -r pin a/b'
have tmux 'tmux: a server, two windows, what they show' &&
	same 'tmux: a server, two windows, what they show' 'export TMUX_TMPDIR=$PWD; tmux -f /dev/null new-session -d -x 80 -y 24 "echo first >one; cat" && tmux new-window "echo second >two; cat" && i=0; while [ $i -lt 100 ] && ! [ -s two -a -s one ]; do sleep 0.1; i=$((i+1)); done; cat one two; tmux list-windows | wc -l; tmux kill-server; ls'

no_leftover 'nothing is left'
done_testing

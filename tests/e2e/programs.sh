#!/bin/sh
# Programs that nobody here wrote do the same inside as outside: output and status are equal.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
E2E_LIMIT=120 LIMIT=120

for p in git gcc make python3 node tar rsync vim; do command -v $p >/dev/null || nok "$p is installed" "install $p"; done

# ---- a project to work on ----
mkdir -p "$T/template/src"
cat >"$T/template/Makefile" <<'END'
CFLAGS = -O1 -Wall
prog: src/main.o src/add.o
	$(CC) -o $@ $^
src/%.o: src/%.c src/add.h
	$(CC) $(CFLAGS) -c -o $@ $<
check: prog
	test "$$(./prog 2 3)" = 5
clean:
	rm -f prog src/*.o
.PHONY: check clean
END
cat >"$T/template/src/main.c" <<'END'
#include <stdio.h>
#include <stdlib.h>
#include "add.h"
int main(int argc, char **argv)
{
	if (argc < 3) return 2;
	printf("%d\n", add(atoi(argv[1]), atoi(argv[2])));
	return 0;
}
END
printf 'int add(int a, int b);\n' >"$T/template/src/add.h"
printf '#include "add.h"\nint add(int a, int b) { return a + b; }\n' >"$T/template/src/add.c"

same 'git init, add, commit' 'git init -q -b main . && git add . && git commit -q -m one && git log --format="%H %s" && git status --short'
same 'git branch, merge' 'git init -q -b main . && git add . && git commit -qm one && git checkout -q -b side && echo x >new && git add new && git commit -qm two &&
	git checkout -q main && echo y >other && git add other && git commit -qm three && git merge -q --no-edit side && git log --format="%H %p %s" --graph'
same 'git conflict' 'git init -q -b main . && git add . && git commit -qm one && git checkout -q -b side && echo a >src/add.h && git commit -qam a &&
	git checkout -q main && echo b >src/add.h && git commit -qam b; git merge side; echo status $?; cat src/add.h; git diff --name-only --diff-filter=U'
same 'git rebase' 'git init -q -b main . && git add . && git commit -qm one && git checkout -q -b side && echo x >new && git add new && git commit -qm two &&
	git checkout -q main && echo y >other && git add other && git commit -qm three && git rebase -q main side && git log --format="%H %s"'
same 'git stash' 'git init -q -b main . && git add . && git commit -qm one && echo changed >src/add.h && git stash -q && cat src/add.h && git stash pop -q && cat src/add.h && git stash list'
same 'git clone of a local repository' 'git init -q -b main a && cp -r src a/ && cd a && git add . && git commit -qm one && cd .. && git clone -q a b && git -C b log --format="%H %s" && ls b/src'
same 'git gc, fsck, repack' 'git init -q -b main . && for i in 1 2 3 4 5; do echo $i >f$i; git add .; git commit -qm $i; done; git gc -q --prune=now && git fsck --full && git count-objects && git log --oneline | wc -l'
same 'git worktree, tag, blame, grep' 'git init -q -b main . && git add . && git commit -qm one && git tag v1 && git worktree add -q ../work/wt v1 2>/dev/null && ls wt/src && git blame -s src/add.h && git grep -n add src | sort && git describe --tags'
same 'git apply, am, format-patch' 'git init -q -b main . && git add . && git commit -qm one && echo "/* x */" >>src/add.h && git commit -qam two && git format-patch -1 --stdout >p && git reset -q --hard HEAD~1 && git am -q p && git log --format=%s && tail -1 src/add.h'

same 'gcc and make' 'make -s 2>&1 && ./prog 2 3 && make -s check && make -q; echo $?; make -s clean; ls src'
same 'make -j, touch, rebuild' 'make -s -j4 && sleep 1 && touch src/add.h && make -n | grep -c -- -c; make -s && ./prog 20 22'
same 'a compiler error' 'echo "int x = ;" >>src/add.c; make 2>&1 | grep -c error:; make >/dev/null 2>&1; echo $?'
same 'configure-like probes' 'for i in 1 2 3 4 5 6; do printf "int main(void){return %d;}" $i >conftest.c; gcc conftest.c -o conftest && ./conftest; echo $?; rm -f conftest*; done'

same 'python3 subprocess' "$python - <<'E'
import subprocess, sys
print(subprocess.run(['sh', '-c', 'echo out; echo err >&2; exit 3'], capture_output=True))
p = subprocess.Popen(['cat'], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
print(p.communicate('through'))
try:
    subprocess.run(['sleep', '9'], timeout=0.2)
except subprocess.TimeoutExpired:
    print('timeout')
print(subprocess.run([sys.executable, '-c', 'import os; os.abort()'], stderr=subprocess.DEVNULL).returncode)
E"
same 'python3 multiprocessing, threads' "$python - <<'E'
import multiprocessing as mp, threading, tempfile, os
def f(x): return x * x
if __name__ == '__main__':
    with mp.get_context('fork').Pool(3) as p: print(p.map(f, range(8)))
    r = []
    t = [threading.Thread(target=r.append, args=(i,)) for i in range(9)]
    [x.start() for x in t]; [x.join() for x in t]; print(sorted(r))
    with tempfile.TemporaryDirectory() as d:
        open(os.path.join(d, 'x'), 'w').write('y'); print(os.listdir(d))
E"
same 'python3 asyncio server and client' "$python - <<'E'
import asyncio
async def serve(r, w):
    w.write((await r.readline()).upper()); await w.drain(); w.close()
async def main():
    s = await asyncio.start_server(serve, '127.0.0.1', 0)
    port = s.sockets[0].getsockname()[1]
    for text in (b'one\n', b'two\n'):
        r, w = await asyncio.open_connection('127.0.0.1', port)
        w.write(text); print(await r.readline()); w.close()
    p = await asyncio.create_subprocess_exec('echo', 'child', stdout=asyncio.subprocess.PIPE)
    print(await p.stdout.read(), await p.wait())
asyncio.run(main())
E"
same 'python3 http.server and http.client' "$python - <<'E'
import http.server, http.client, threading, socketserver, urllib.request
class H(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *a): pass
for family, host in ((2, '127.0.0.1'), (10, '::1')):
    class S(socketserver.ThreadingTCPServer): address_family = family
    s = S((host, 0), H)
    threading.Thread(target=s.serve_forever, daemon=True).start()
    c = http.client.HTTPConnection(host, s.server_address[1])
    c.request('GET', '/src/add.h'); r = c.getresponse(); print(r.status, r.read())
    c.request('GET', '/none'); r = c.getresponse(); print(r.status); r.read()
    s.shutdown()
E"
same 'python3 sqlite, mmap, locks' "$python - <<'E'
import sqlite3, mmap, fcntl, os
d = sqlite3.connect('x.db'); d.execute('create table t(a)'); d.executemany('insert into t values(?)', [(i,) for i in range(100)]); d.commit()
print(d.execute('select sum(a) from t').fetchone())
d.execute('pragma journal_mode=wal'); d.execute('delete from t where a > 50'); d.commit(); print(d.execute('select count(*) from t').fetchone())
open('m', 'wb').write(b'0' * 8192)
f = open('m', 'r+b'); m = mmap.mmap(f.fileno(), 8192); m[0:5] = b'hello'; m.flush(); m.close(); print(open('m', 'rb').read(6))
fcntl.flock(f, fcntl.LOCK_EX); fcntl.lockf(f, fcntl.LOCK_EX); os.truncate('m', 10); print(os.stat('m').st_size)
E"
if $python -c 'import ensurepip' 2>/dev/null; then
	same 'python3 venv' "$python -m venv --without-pip v && v/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)' && ls v/bin | grep -c python"
else
	same 'python3 venv' "$python -m venv --without-pip v && v/bin/python -c 'import sys; print(sys.prefix != sys.base_prefix)'"
fi

same 'node child_process' "node -e '
const { execSync, spawnSync, spawn } = require(\"child_process\");
console.log(execSync(\"echo hello\").toString());
console.log(spawnSync(\"sh\", [\"-c\", \"exit 4\"]).status);
const p = spawn(\"cat\"); p.stdout.on(\"data\", d => console.log(\"got \" + d)); p.on(\"close\", c => console.log(\"closed \" + c)); p.stdin.end(\"text\");'"
same 'node fs' "node -e '
const fs = require(\"fs\");
fs.mkdirSync(\"a/b/c\", { recursive: true }); fs.writeFileSync(\"a/b/c/f\", \"x\"); fs.renameSync(\"a/b/c/f\", \"a/g\");
fs.symlinkSync(\"g\", \"a/l\"); console.log(fs.readFileSync(\"a/l\", \"utf8\"), fs.readdirSync(\"a\"), fs.readlinkSync(\"a/l\"));
fs.rmSync(\"a\", { recursive: true }); console.log(fs.existsSync(\"a\"));
fs.watch(\".\", (e, n) => { console.log(e, n); process.exit(0); }); setTimeout(() => fs.writeFileSync(\"w\", \"1\"), 100);'"
same 'node http and fetch' "node -e '
const s = require(\"http\").createServer((q, r) => r.end(q.url)).listen(0, \"127.0.0.1\", async () => {
const u = \"http://127.0.0.1:\" + s.address().port;
console.log(await (await fetch(u + \"/path\")).text()); s.close(); s.closeAllConnections(); });'"
same 'node worker threads' "node -e '
const { Worker } = require(\"worker_threads\");
new Worker(\"require(\\\"worker_threads\\\").parentPort.postMessage(6*7)\", { eval: true }).on(\"message\", m => console.log(m));'"

same 'tar' 'tar cf a.tar src Makefile && tar tf a.tar | sort && mkdir x && tar xf a.tar -C x && diff -r src x/src && tar czf a.tgz src && tar xzOf a.tgz src/add.h'
same 'tar of many files' 'mkdir m && i=0; while [ $i -lt 300 ]; do echo $i >m/$i; i=$((i+1)); done; tar cf m.tar m && rm -r m && tar xf m.tar && ls m | wc -l && cat m/299'
same 'rsync' 'rsync -a --itemize-changes src/ copy/ | sort && echo new >>src/add.h && rsync -a --itemize-changes src/ copy/ && rsync -a --delete --exclude add.c src/ copy/ && ls copy'
same 'vim -es' 'printf "one\ntwo\n" >f && vim -es -u NONE -c "%s/one/ONE/" -c "wq" f; echo $?; cat f'
same 'sed -i, sort, find, xargs' 'sed -i s/add/plus/ src/add.h && cat src/add.h && find . -type f | sort | xargs wc -c && sort -r Makefile | head -3'
same 'links, modes, times' 'ln src/add.h hard && ln -s src/add.c soft && stat -c "%h %a %F" hard soft src && chmod 600 hard && stat -c %a src/add.h && touch -d 2020-02-02T02:02:02Z src/add.c && stat -c %Y src/add.c && stat -L -c %Y soft && rm hard && stat -c %h src/add.h'
same 'rename, exchange over, directories' 'mkdir -p a/b && mv src a/b/ && ls a/b/src && mv a/b/src/add.h a/b/src/add.c && ls a/b/src && rmdir a/b; echo $?; rm -r a; ls'
same 'sparse files, fallocate, dd' 'truncate -s 10M sparse && stat -c %s sparse && fallocate -l 65536 fa && stat -c "%s" fa && dd if=/dev/zero of=dd bs=4096 count=16 conv=fsync 2>/dev/null && cmp fa dd && echo same'
same 'fifos and sockets in the workspace' "mkfifo p && (echo through >p &) && cat p && $python -c 'import socket; s = socket.socket(socket.AF_UNIX); s.bind(\"s\"); s.listen(); c = socket.socket(socket.AF_UNIX); c.connect(\"s\"); c.send(b\"x\"); print(s.accept()[0].recv(9))'"
same 'flock' 'exec 9>lock; flock 9 && (flock -n 9 && echo shared) ; (exec 8>lock; flock -n 8 || echo busy)'
same 'unlinked open file' 'exec 3<>tmp; rm tmp; echo data >&3; cat /proc/self/fd/3; ls'
same 'many processes' 'i=0; while [ $i -lt 200 ]; do true & i=$((i+1)); done; wait; seq 1 100 | xargs -P 8 -n 1 sh -c "exit 0" && echo done'
same '/dev, /proc, /tmp' 'test -c /dev/null && test -c /dev/urandom && head -c 4 /dev/zero | od -An -tx1 && test -d /proc/self && echo x >/tmp/x && cat /tmp/x && echo y >/dev/shm/y && cat /dev/shm/y; rm -f /tmp/x /dev/shm/y'
same 'here documents, process substitution' 'bash -c "diff <(echo a) <(echo b); cat <<<word; coproc cat; echo z >&\${COPROC[1]}; read -u \${COPROC[0]} l; echo \$l"'
no_leftover 'nothing is left'
done_testing

#!/bin/sh
# Egress: allowed names work over HTTP/1.1, HTTP/2, TLS and IPv6, as outside; others are refused in a
# way that a program understands.
set -u
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"
for p in curl nginx openssl node; do command -v $p >/dev/null || nok "$p is installed" "install $p"; done

# ---- servers of the host, on its loopback ----
mkdir "$T/world" "$T/www"
echo 'hello from the host' >"$T/www/index.html"
head -c 3000000 /dev/urandom >"$T/www/big"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout "$T/world/key.pem" -out "$T/world/cert.pem" \
	-subj /CN=allowed.test -addext 'subjectAltName=DNS:allowed.test,DNS:denied.test' -days 2 2>/dev/null
cp "$T/world/cert.pem" "$T/template-ca" && chmod 644 "$T/template-ca"
own "$T/world" "$T/www"
# a copy: nobody need not be able to read the source (a checkout in /root)
cp "$e2e_src/../lib/world.py" "$T/world.py" && chmod 644 "$T/world.py"
background as $python "$T/world.py" "$T/world"
until_true test -f "$T/world/world.conf" || nok 'the world started'
conf() { sed -n "s/^$1=//p" "$T/world/world.conf"; }
read -r http tls <<END
$($python -c 'import socket
s = [socket.socket() for _ in range(2)]
[x.bind(("127.0.0.1", 0)) for x in s]
print(*[x.getsockname()[1] for x in s])')
END
cat >"$T/nginx.conf" <<END
daemon off; worker_processes 1; pid $T/world/nginx.pid; error_log $T/world/nginx.log;
events { worker_connections 64; }
http {
	access_log off; client_body_temp_path $T/world/b; proxy_temp_path $T/world/p; fastcgi_temp_path $T/world/f;
	uwsgi_temp_path $T/world/u; scgi_temp_path $T/world/s; root $T/www;
	server { listen 127.0.0.1:$http; listen [::1]:$http; }
	server { listen 127.0.0.1:$tls ssl http2; listen [::1]:$tls ssl http2;
		ssl_certificate $T/world/cert.pem; ssl_certificate_key $T/world/key.pem; }
}
END
background as nginx -c "$T/nginx.conf" -e "$T/world/nginx.log"
until_true curl -s -o /dev/null "http://127.0.0.1:$http/" || nok 'nginx started' "$(cat "$T/world/nginx.log")"
cat >"$T/policy.yaml" <<END
version: 1
name: net
extends: [code-edit]
network_rules:
  - {name: local, domains: [allowed.test], cidrs: ["127.0.0.0/8", "::1/128"], ports: [$http, $tls, $(conf open_port), $(conf tls_port)], decision: allow}
  - {name: rebind, domains: [rebind.test], ports: [$http], decision: allow}
  - {name: literal, cidrs: ["127.99.0.0/16"], ports: [$http], decision: allow}
END
PACK="--policy $T/policy.yaml --dns 127.0.0.1:$(conf dns_port)"
mkdir "$T/template" && cp "$T/world/cert.pem" "$T/template/tests.crt"
fresh
# outside, the name is given to curl; inside, the resolver knows it
outside="--resolve allowed.test:$http:127.0.0.1 --resolve allowed.test:$tls:127.0.0.1
	--resolve allowed.test:$(conf open_port):127.0.0.1"

both() { # NAME URL OPTION...
	both_name=$1 both_url=$2
	shift 2
	# shellcheck disable=SC2086
	(cd "$W" && e2e_env curl -sS -m 20 $outside "$@" "$both_url") >"$T/out1" 2>"$T/err1"
	both_st1=$?
	wrap curl -sS -m 20 "$@" "$both_url" >"$T/out2" 2>"$T/err2"
	both_st2=$?
	if [ $both_st1 = $both_st2 ] && cmp -s "$T/out1" "$T/out2"; then ok "$both_name"; else
		nok "$both_name" "outside $both_st1, inside $both_st2: $(cat "$T/err2") $(head -c 300 "$T/out2")"
	fi
}
both 'curl http/1.1' "http://allowed.test:$http/"
both 'curl http/1.1, 3 MB' "http://allowed.test:$http/big"
both 'curl several on one connection' "http://allowed.test:$http/" "http://allowed.test:$http/index.html" "http://allowed.test:$http/none"
both 'curl https h1' "https://allowed.test:$tls/" --http1.1 --cacert tests.crt
both 'curl https h2' "https://allowed.test:$tls/" --http2 --cacert tests.crt -w '%{http_version}'
both 'curl https h2, 3 MB' "https://allowed.test:$tls/big" --http2 --cacert tests.crt
both 'curl head, range' "http://allowed.test:$http/big" -r 100-199
both 'curl 404' "http://allowed.test:$http/none" -f
head -c 200000 /dev/zero >"$W/body"
both 'curl post' "http://allowed.test:$(conf open_port)/post" --data-binary @body
is 'curl over IPv6' "$(wrap curl -6 -sS -m 20 "http://allowed.test:$http/" 2>&1)" 'hello from the host'
is 'curl upper case, trailing dot' "$(wrap curl -sS -m 20 "http://ALLOWED.test.:$http/" 2>&1)" 'hello from the host'
is 'python3 urllib' "$(wrap $python -c "import urllib.request; print(urllib.request.urlopen('http://allowed.test:$http/').read().decode(), end='')" 2>&1)" 'hello from the host'
is 'python3 https' "$(wrap $python -c "import urllib.request, ssl; print(urllib.request.urlopen('https://allowed.test:$tls/', context=ssl.create_default_context(cafile='tests.crt')).read().decode(), end='')" 2>&1)" 'hello from the host'
is 'node fetch' "$(wrap node -e "fetch('http://allowed.test:$http/').then(r => r.text()).then(t => process.stdout.write(t))" 2>&1)" 'hello from the host'
is 'git over http: a clear failure of the server, not of the gate' "$(wrap git ls-remote "http://allowed.test:$http/none" 2>&1 | grep -c 'not found')" 1

# ---- what is not allowed ----
wrap curl -sS -m 20 "http://denied.test:$http/" >"$T/out" 2>"$T/err"
is 'denied name: curl cannot resolve' $? 6
out=$(wrap curl -sS -m 20 -w '\n%{http_code}' -H 'Host: denied.test' "http://allowed.test:$http/" 2>&1)
like 'another Host: 403' "$out" '^403$'
like 'another Host: JSON with rule' "$out" '"error": ?"denied"'
wrap curl -sS -m 20 "http://127.0.0.1:$http/" >"$T/out" 2>&1
is "the host's loopback is not the sandbox's" $? 7
wrap curl -sS -m 20 "http://$(conf host_ip):$(conf closed_port)/" >"$T/out" 2>&1
unlike 'an address of the host' "$(cat "$T/out")" WORLD-ANSWER
wrap curl -sS -m 20 "http://rebind.test:$http/" >"$T/out" 2>&1
unlike 'a name that is a loopback address' "$(cat "$T/out")" 'hello from'
wrap curl -sS -m 20 --http3-only https://allowed.test/ >/dev/null 2>&1
start=$(date +%s)
wrap $python -c 'import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(5)
try:
    s.sendto(b"x", ("1.1.1.1", 443)); s.recv(9)
except OSError as e: print(type(e).__name__)' >"$T/out" 2>&1
[ $(($(date +%s) - start)) -le 4 ] && ok 'UDP 443 fails at once' || nok 'UDP 443 fails at once' "$(cat "$T/out")"
is 'what came to the host' "$(grep -cE 'denied|"closed"' "$T/world/world.log")" 0

# ---- servers inside ----
is 'a server and a client inside' "$(wrap sh -c "$python -m http.server -b 127.0.0.1 8123 >/dev/null 2>&1 & for i in 1 2 3 4 5 6 7 8 9; do curl -s http://127.0.0.1:8123/tests.crt && break; sleep 0.3; done" | head -n 1)" '-----BEGIN CERTIFICATE-----'
is 'localhost is inside' "$(wrap $python -c 'import socket
s = socket.create_server(("localhost", 0)); c = socket.create_connection(("localhost", s.getsockname()[1])); print("ok")' 2>&1)" ok

ctl audit cat --json >"$T/log" 2>&1
like 'recorded: the allowed connection' "$(cat "$T/log")" '"gate": ?"net".*"decision": ?"allow".*allowed\.test'
like 'recorded: the denied name' "$(cat "$T/log")" '"gate": ?"net".*"decision": ?"deny".*denied\.test'
no_leftover 'nothing is left'
done_testing

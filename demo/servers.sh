# The demo's servers, for run.sh to source: a CA, a DNS, nginx with git http-backend; everything in
# $tmp, on 127.0.0.1, with ports above 1024, started by whoever runs the demo. Sets port, dns_port.
# shellcheck shell=sh disable=SC2154,SC2034

server_pids=

# start NAME COMMAND...: a server in a process group of its own; its output in $tmp/NAME.out
start() {
	name=$1
	shift
	setsid "$@" >"$tmp/$name.out" 2>&1 </dev/null &
	started=$!
	server_pids="$server_pids $started"
}

servers_stop() {
	for pid in $server_pids; do
		kill -TERM "-$pid" 2>/dev/null
	done
	for pid in $server_pids; do
		wait "$pid" 2>/dev/null
	done
	server_pids=
}

# await SECONDS COMMAND...: until it succeeds
await() {
	tries=$(($1 * 20))
	shift
	while [ $tries -gt 0 ]; do
		"$@" >/dev/null 2>&1 && return 0
		tries=$((tries - 1))
		sleep 0.05
	done
	return 1
}

make_ca() {
	mkdir "$tmp/ca"
	(
		cd "$tmp/ca" || exit 1
		openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 \
			-subj "/CN=Demo CA" -keyout ca.key -out ca.pem \
			-addext basicConstraints=critical,CA:TRUE \
			-addext keyUsage=critical,keyCertSign,cRLSign &&
		openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
			-subj "/CN=git.example.test" -keyout server.key -out server.csr &&
		printf '%s\n' 'subjectAltName=DNS:git.example.test,DNS:evil.example.test' \
			'extendedKeyUsage=serverAuth' >server.ext &&
		openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial \
			-days 2 -extfile server.ext -out server.pem
	) >"$tmp/openssl.out" 2>&1
}

# make_repository NAME DIR: a bare repository in $tmp/srv/git with DIR's files as its one commit
make_repository() {
	git init --quiet --initial-branch=main "$tmp/seed-$1" &&
	cp -R "$2/." "$tmp/seed-$1/" &&
	git -C "$tmp/seed-$1" add --all &&
	git -C "$tmp/seed-$1" commit --quiet --message "Begin" &&
	git clone --quiet --bare "$tmp/seed-$1" "$tmp/srv/git/$1.git" &&
	git -C "$tmp/srv/git/$1.git" config http.receivepack true
}

nginx_on() { # PORT
	user=
	[ "$(id -u)" != 0 ] || user="user $(id -un) $(id -gn);"
	sed -e "s|@TMP@|$tmp|g" -e "s|@PORT@|$1|g" -e "s|@USER@|$user|" \
		-e "s|@GIT_HTTP_BACKEND@|$(git --exec-path)/git-http-backend|" \
		"$demo/nginx.conf.in" >"$tmp/nginx.conf"
	start nginx nginx -e "$tmp/nginx.log" -p "$tmp" -c "$tmp/nginx.conf"
	await 10 sh -c "[ -s '$tmp/nginx.pid' ] || ! kill -0 $started" && [ -s "$tmp/nginx.pid" ]
}

dns_on() { # PORT
	start dns dnsmasq --conf-file=/dev/null --keep-in-foreground --port="$1" \
		--listen-address=127.0.0.1 --bind-interfaces --no-resolv --no-hosts --no-poll \
		--user="$(id -un)" --pid-file="$tmp/dns.pid" --log-facility=- \
		--address=/example.test/127.0.0.1
	await 10 sh -c "[ -s '$tmp/dns.pid' ] || ! kill -0 $started" && [ -s "$tmp/dns.pid" ]
}

# first_port FUNCTION FROM TO: the first port that the server can have
first_port() {
	for try in $(seq "$2" "$3"); do
		if "$1" "$try"; then
			found=$try
			return 0
		fi
	done
	return 1
}

servers_start() {
	make_ca || return 1
	start fcgi env -i PATH="$PATH" fcgiwrap -s "unix:$tmp/fcgi.sock"
	await 10 test -S "$tmp/fcgi.sock" || return 1
	first_port nginx_on 8443 8542 || return 1
	port=$found
	first_port dns_on 8553 8652 || return 1
	dns_port=$found
}

#!/bin/sh
# tests/e2e/ops.sh as an ordinary user
[ "$(id -u)" = 0 ] && E2E_USER=nobody && export E2E_USER
exec "$(dirname "$0")/ops.sh"

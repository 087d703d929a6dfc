#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# HAProxy under load: everything it serves is a proxied request, but for one answer of its own. The method is what it
# reports ("Using kqueue() as the polling mechanism"), which is written when it ends.

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh
. tests/programs/nginx.build

begin haproxy
needs cc make wrk python3
fetch haproxy

build() {
    make -j2 TARGET=linux-glibc USE_EPOLL=1 USE_KQUEUE=1 USE_OPENSSL= USE_LUA= USE_PCRE= USE_LIBCRYPT= USE_PRCTL= \
        CPU_CFLAGS="-O2 $KQUEUE_CFLAGS" DEBUG_CFLAGS= ADDLIB="$KQUEUE_LDFLAGS -lkqueue" haproxy
}
make_stub
tree both build

behind

# start_haproxy BACKEND PREFIX FORBIDDEN: the other backend is forbidden by an option. Its pid is $PID, its port $PORT.
start_haproxy() {
    local dir=$BUILD/run-$1
    mkdir -p "$dir"
    PORT=$(free_port)
    cat > "$dir/conf" <<CONF
global
    nbthread 1
    maxconn 4000
defaults
    mode http
    timeout connect 10s
    timeout client 60s
    timeout server 60s
    option http-keep-alive
    http-reuse always
frontend front
    bind 127.0.0.1:$PORT
    http-request return status 200 content-type text/plain string "an answer of its own" if { path /own }
    default_backend back
backend back
    server nginx 127.0.0.1:$BEHIND
CONF
    start "$dir/log" $2 "$BUILD/both/haproxy" -d "$3" -f "$dir/conf"
    await "$PORT" "haproxy on $1"
}

start_haproxy epoll "$SERVER $ALONE" -dk
epoll=$PORT epoll_pid=$PID
start_haproxy kqueue "$SERVER" -de
kqueue=$PORT kqueue_pid=$PID

# ask PATH CONNECTIONS BACKEND
ask() { web "${!3}" "$1" "$2"; }

load own-answer "$epoll_pid" "$kqueue_pid" request ask /own 32
load proxied-small-file "$epoll_pid" "$kqueue_pid" request ask /small 32
load proxied-1-MB-file "$epoll_pid" "$kqueue_pid" request ask /big 16
load proxied-500-connections "$epoll_pid" "$kqueue_pid" request ask /small 500

stop_all
for backend in epoll kqueue; do
    assert_method $backend "$(sed -n 's/^Using \([a-z]*\)() as the polling mechanism.*/\1/p' "$BUILD/run-$backend/log")"
done
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# HAProxy under load: everything it serves is a proxied request, but for one answer of its own. The method is what
# its worker reports ("Using kqueue() as the polling mechanism", in the output of -db -d).

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh
. tests/programs/nginx.build

begin haproxy
needs cc make wrk python3
fetch haproxy

build() {
    set -- "$1" TARGET=linux-glibc USE_OPENSSL= USE_LUA= USE_PCRE= USE_GETADDRINFO=1 USE_CRYPT_H= USE_LIBCRYPT=
    if [ "$1" = kqueue ]; then
        make -j2 "${@:2}" USE_EPOLL= USE_KQUEUE=1 CPU_CFLAGS="-O2 $KQUEUE_CFLAGS" ADDLIB="$KQUEUE_LDFLAGS -lkqueue" haproxy
    else
        make -j2 "${@:2}" CPU_CFLAGS=-O2 haproxy
    fi
}
tree epoll build
tree kqueue build

behind

# start_haproxy BACKEND: its pid is $PID, its port $PORT.
start_haproxy() {
    local dir=$BUILD/$1/run
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
    start "$dir/log" $SERVER "$BUILD/$1/haproxy" -d -f "$dir/conf"
    await "$PORT" "haproxy on $1"
    assert_method "$1" "$(sed -n 's/^Using \([a-z]*\)() as the polling mechanism.*/\1/p' "$dir/log")"
}

start_haproxy epoll
epoll=$PORT epoll_pid=$PID
start_haproxy kqueue
kqueue=$PORT kqueue_pid=$PID

# ask PATH CONNECTIONS BACKEND
ask() { web "${!3}" "$1" "$2"; }

load own-answer "$epoll_pid" "$kqueue_pid" request ask /own 32
load proxied-small-file "$epoll_pid" "$kqueue_pid" request ask /small 32
load proxied-1-MB-file "$epoll_pid" "$kqueue_pid" request ask /big 16
load proxied-500-connections "$epoll_pid" "$kqueue_pid" request ask /small 500
finish

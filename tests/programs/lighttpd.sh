#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# lighttpd under load. It says nothing of the method it was configured to use: the library tells of the calls of one more
# server with the same configuration.

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh
. tests/programs/nginx.build

begin lighttpd
needs cc make wrk python3
fetch lighttpd

# Its configure tries a compiler for tools of the build as well, with LIBS and without LDFLAGS.
build() {
    ./configure --without-pcre2 --without-pcre --without-zlib --without-brotli --without-bzip2 --without-zstd --disable-ipv6 \
        --disable-dependency-tracking --prefix="$PWD/installed" CFLAGS=-O2 CPPFLAGS="$KQUEUE_CFLAGS" \
        LDFLAGS="$KQUEUE_LDFLAGS" CC_FOR_BUILD="cc $KQUEUE_LDFLAGS" LIBS=-lkqueue
    make -j2 install
}
make_stub
tree both build

behind

# start_lighttpd METHOD PREFIX...: its pid is $PID, its port $PORT.
start_lighttpd() {
    local method=$1 dir
    shift
    PORT=$(free_port)
    dir=$BUILD/run-$PORT
    rm -rf "$dir"
    files "$dir/www"
    cat > "$dir/conf" <<CONF
server.modules = ("mod_proxy")
server.event-handler = "$method"
server.bind = "127.0.0.1"
server.port = $PORT
server.document-root = "$dir/www"
server.max-connections = 2048
server.max-fds = 4096
server.max-keep-alive-requests = 1000000000
server.listen-backlog = 1024
\$HTTP["url"] =~ "^/proxy/" {
    proxy.server = ("" => (("host" => "127.0.0.1", "port" => $BEHIND)))
    proxy.header = ("map-urlpath" => ("/proxy/" => "/"))
}
CONF
    start "$dir/log" $SERVER "$@" "$BUILD/both/installed/sbin/lighttpd" -D -f "$dir/conf" -m "$BUILD/both/installed/lib"
    await "$PORT" "lighttpd with $method"
}

rm -f "$LOGS/calls"
start_lighttpd freebsd-kqueue env KQUEUE_DEBUG=1 KQUEUE_DEBUG_FILE="$LOGS/calls"
assert_method "kevent EVFILT_READ" "$(sed -n -E 's/.* (kevent)\(.*(EVFILT_READ).*/\1 \2/p' "$LOGS/calls" | sort -u)"
kill "$PID"

start_lighttpd linux-sysepoll $ALONE
epoll=$PORT epoll_pid=$PID
start_lighttpd freebsd-kqueue
kqueue=$PORT kqueue_pid=$PID

# ask PATH CONNECTIONS BACKEND
ask() { web "${!3}" "$1" "$2"; }

load small-file "$epoll_pid" "$kqueue_pid" request ask /small 32
load 1-MB-file "$epoll_pid" "$kqueue_pid" request ask /big 16
load 500-connections "$epoll_pid" "$kqueue_pid" request ask /small 500
load proxied-request "$epoll_pid" "$kqueue_pid" request ask /proxy/small 32
finish

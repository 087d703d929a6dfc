#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# lighttpd under load. The method is the one its configuration names, with which it does not start where it is not
# compiled in, and what system calls find: the kqueue side has a kqueue of ours (a library it is linked with), and knows
# no epoll.

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh
. tests/programs/nginx.build

begin lighttpd
needs cc make wrk python3
fetch lighttpd

# Its modules are plugins of the program, and the program itself has the event loop.
build() {
    local options="--without-pcre2 --without-pcre --without-zlib --without-brotli --without-bzip2 --without-zstd --disable-ipv6
        --disable-dependency-tracking --prefix=$PWD/installed"
    if [ "$1" = kqueue ]; then
        ./configure $options ac_cv_header_sys_epoll_h=no CPPFLAGS="$KQUEUE_CFLAGS" LDFLAGS="$KQUEUE_LDFLAGS" LIBS=-lkqueue
    else
        ./configure $options
    fi
    make -j2 install
}
tree epoll build
tree kqueue build

behind

# start_lighttpd BACKEND METHOD: its pid is $PID, its port $PORT.
start_lighttpd() {
    local dir=$BUILD/$1/run
    files "$dir/www"
    PORT=$(free_port)
    cat > "$dir/conf" <<CONF
server.modules = ("mod_proxy")
server.event-handler = "$2"
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
    start "$dir/log" $SERVER "$BUILD/$1/installed/sbin/lighttpd" -D -f "$dir/conf" -m "$BUILD/$1/installed/lib"
    await "$PORT" "lighttpd with $2"
}

start_lighttpd epoll linux-sysepoll
epoll=$PORT epoll_pid=$PID
start_lighttpd kqueue freebsd-kqueue
kqueue=$PORT kqueue_pid=$PID
assert_method freebsd-kqueue "$("$BUILD/kqueue/installed/sbin/lighttpd" -V | sed -n -E 's/^\t\+ (linux-sysepoll|freebsd-kqueue).*/\1/p;s/.*\+ (epoll|kqueue) .*/\1/p' | xargs)"

# ask PATH CONNECTIONS BACKEND
ask() { web "${!3}" "$1" "$2"; }

load small-file "$epoll_pid" "$kqueue_pid" request ask /small 32
load 1-MB-file "$epoll_pid" "$kqueue_pid" request ask /big 16
load 500-connections "$epoll_pid" "$kqueue_pid" request ask /small 500
load proxied-request "$epoll_pid" "$kqueue_pid" request ask /proxy/small 32
finish

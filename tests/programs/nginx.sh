#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# nginx under load, as a server of files and as a proxy, one worker. The method is what it logs at its start.

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh
. tests/programs/nginx.build

begin nginx
needs cc make wrk python3
fetch nginx
tree epoll build_nginx
tree kqueue build_nginx

behind
epoll=$(free_port)
start_nginx "$SERVER" epoll "$epoll" "$BEHIND"
epoll_pid=$PID
assert_method epoll "$NGINX_METHOD"
kqueue=$(free_port)
start_nginx "$SERVER" kqueue "$kqueue" "$BEHIND"
kqueue_pid=$PID
assert_method kqueue "$NGINX_METHOD"

# ask PATH CONNECTIONS BACKEND
ask() { web "${!3}" "$1" "$2"; }

load small-file "$epoll_pid" "$kqueue_pid" request ask /small 32
load 1-MB-file "$epoll_pid" "$kqueue_pid" request ask /big 16
load 500-connections "$epoll_pid" "$kqueue_pid" request ask /small 500
load proxied-request "$epoll_pid" "$kqueue_pid" request ask /proxy/small 32
finish

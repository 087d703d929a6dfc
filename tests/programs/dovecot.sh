#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Dovecot's library, with its event loop and its notifications on kqueue (EVFILT_VNODE, a kqueue in a kqueue) beside epoll and
# inotify: its own unit tests, and the small program beside this file for the notifications.

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh

begin dovecot
needs cc make timeout
needs_header openssl/ssl.h libssl-dev
fetch dovecot

HERE=$PWD/tests/programs

build() {
    export CPPFLAGS='' LDFLAGS='' LIBS=''
    if [ "$1" = kqueue ]; then
        CPPFLAGS=$KQUEUE_CFLAGS LDFLAGS=$KQUEUE_LDFLAGS LIBS=-lkqueue
        set -- kqueue kqueue
    else
        set -- epoll inotify
    fi
    ./configure --with-ioloop="$1" --with-notify="$2" --without-shared-libs --disable-hardening
    make -C src/lib-test
    make -C src/lib -j2 liblib.la test-lib
    cc -O1 -g -I. -Isrc/lib $CPPFLAGS -DHAVE_CONFIG_H -o notify "$HERE/dovecot.c" src/lib/.libs/liblib.a $LDFLAGS $LIBS
}
tree epoll build
tree kqueue build

# method BACKEND: what was compiled.
method() { sed -n -E 's/^#define IOLOOP_(NOTIFY_)?(EPOLL|KQUEUE|INOTIFY).*/\2/p' "$BUILD/$1/config.h" | sort -u | xargs; }
assert_method "EPOLL INOTIFY" "$(method epoll)"
assert_method KQUEUE "$(method kqueue)"

for backend in epoll kqueue; do
    # "name ......... : ok". (Tests of limits on processor time are among them, which take a busy machine minutes.)
    (cd "$BUILD/$backend/src/lib" && timeout -k 5 600 ./test-lib) > "$LOGS/test-lib-$backend" 2>&1 < /dev/null
    sed -n -E 's/^(.*[^ .]) \.+ : ok$/OK \1/p; s/^(.*[^ .]) \.+ : FAILED$/FAIL \1/p' "$LOGS/test-lib-$backend" > "$LOGS/library.$backend"
    rm -rf "$BUILD/mail-$backend"
    mkdir "$BUILD/mail-$backend"
    (cd "$BUILD/mail-$backend" && timeout -k 5 200 "$BUILD/$backend/notify") > "$LOGS/notify.$backend" 2> "$LOGS/notify-$backend.err"
done
suite library epoll kqueue
suite notify inotify kqueue
finish

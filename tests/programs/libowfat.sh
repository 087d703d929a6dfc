#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# libowfat, which waits for one-shot events in several threads (iom_wait). It has no test suite of that; the small
# program beside this file uses it.

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh

begin libowfat
needs cc make timeout
fetch libowfat

HERE=$PWD/tests/programs
# program LIBRARY...
program() { cc -O2 -g -I. -o program "$HERE/libowfat.c" libowfat.a $(cat libsocket) "$@" -lpthread; }

build_epoll() {
    make DIET= headers ent libowfat.a libsocket
    program
}

# Only what waits is compiled anew.
build_kqueue() {
    cp -a "$BUILD/epoll/." .
    rm .built program
    # Its kqueue branches are not often compiled: they lack headers, and name what is not declared.
    sed -i 's/^#include "io_internal.h"/&\n#include <fcntl.h>\n#include <unistd.h>/' io/iom_init.c
    sed -i '/^#elif defined(HAVE_KQUEUE)/,/^#else/{
        s/struct kevent kev\[SLOTS\];/& int i;/
        s/int r=kevent(c->ctx, 0, 0, &kev,/r=kevent(c->ctx, 0, 0, kev,/
    }; s/\*s=kev\.ident;/*s=kev[i].ident;/' io/iom_wait.c
    : > haveepoll.h
    echo '#define HAVE_KQUEUE' > havekqueue.h
    make DIET= DEFINE="-D_REENTRANT $KQUEUE_CFLAGS" libowfat.a
    program $KQUEUE_LDFLAGS -lkqueue
}
tree epoll build_epoll
tree kqueue build_kqueue

method() { nm -u "$BUILD/$1/program" | sed -n -E 's/^ *U (epoll_create1|kqueue)(@.*)?$/\1/p' | sort -u | xargs; }
assert_method epoll_create1 "$(method epoll)"
assert_method kqueue "$(method kqueue)"

for backend in epoll kqueue; do
    timeout -k 5 200 "$BUILD/$backend/program" > "$LOGS/uses.$backend" 2> "$LOGS/uses-$backend.err"
done
suite uses epoll kqueue
finish

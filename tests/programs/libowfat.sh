#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# libowfat, which waits for one-shot events in several threads (iom_wait), and in one for edges (io_wait). It has no test
# suite of that; the small program beside this file uses both.

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh

begin libowfat
needs cc make timeout
fetch libowfat

HERE=$PWD/tests/programs
build() {
    if [ "$1" = kqueue ]; then
        # The kqueue branch of iom_wait() was never compiled: it names what is not declared.
        sed -i '/^#elif defined(HAVE_KQUEUE)/,/^#else/{
            s/struct kevent kev\[SLOTS\];/& int i;/
            s/int r=kevent(c->ctx, 0, 0, &kev,/r=kevent(c->ctx, 0, 0, kev,/
            s/\*s=kev\.ident;/*s=kev[i].ident;/
        }' io/iom_wait.c
        # What the compiler finds decides, and epoll comes first.
        echo '#error' > tryepoll.c
        set -- "DEFINE=-D_REENTRANT $KQUEUE_CFLAGS" "$KQUEUE_LDFLAGS -lkqueue"
    else
        set -- DEFINE=-D_REENTRANT ""
    fi
    make DIET= "$1" headers ent libowfat.a libsocket
    cc -O2 -g -I. -o program "$HERE/libowfat.c" libowfat.a $(cat libsocket) $2 -lpthread
}
tree epoll build
tree kqueue build

method() { nm -u "$BUILD/$1/program" | sed -n -E 's/^ *U (epoll_create1|kqueue)(@.*)?$/\1/p' | sort -u | xargs; }
assert_method epoll_create1 "$(method epoll)"
assert_method kqueue "$(method kqueue)"

for backend in epoll kqueue; do
    timeout -k 5 200 "$BUILD/$backend/program" > "$LOGS/uses.$backend" 2> "$LOGS/uses-$backend.err"
done
suite uses epoll kqueue
finish

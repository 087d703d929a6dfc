#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Nim's selectors (READ, WRITE, TIMER, SIGNAL, PROC, VNODE), and what its asyncdispatch makes of them: its own tests,
# compiled by Debian's nim with the library of the same version, in which Linux is taken for macOS by the three files
# that are about kqueue.

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh

begin nim
needs nim cc timeout
fetch nim
case $(nim --version) in *" ${VERSION%%-*} "*) ;; *) skip "nim is not ${VERSION%%-*}" ;; esac

TESTS="tioselectors tpolltimeouts testmanyasyncevents tacceptcloserace tasyncawait tasyncconnect tasyncdial tasyncdiscard
    tasyncfile tasyncnetudp tnewasyncudp tasyncclosestall tupcoming_async"

build() {
    local test
    rm -rf c_code compiler doc
    # Every part of the selectors' test is told, as it passes.
    sed -i 's/if not x: echo(t & " FAILED\\r\\n")/echo((if x: "OK " else: "FAIL ") \& t)/' tests/async/tioselectors.nim
    mkdir -p include/sys
    if [ "$1" = kqueue ]; then
        sed -i 's/when defined(linux) and not defined(emscripten):/when false:/; s/bsdPlatform = /&defined(linux) or /' lib/pure/selectors.nim
        sed -i 's/defined(macosx)/defined(linux)/' lib/pure/ioselects/ioselectors_kqueue.nim lib/posix/kqueue.nim \
            tests/async/tioselectors.nim
        # What it asks for is how many descriptors there may be.
        cat > include/sys/sysctl.h <<'C'
static inline int sysctl(int *name, unsigned names, void *old, unsigned long *size, void *new_, unsigned long new_size)
{
    (void)name, (void)names, (void)size, (void)new_, (void)new_size;
    *(int *)old = 4096;
    return 0;
}
C
        set -- --passC:"-I$PWD/include $KQUEUE_CFLAGS" --passL:"$KQUEUE_LDFLAGS -lkqueue"
    else
        set --
    fi
    mkdir -p bin
    for test in $TESTS; do
        nim c --lib:"$PWD/lib" --nimcache:"$PWD/cache/$test" --hints:off --warnings:off -d:nimDisableCertificateValidation \
            "$@" -o:"$PWD/bin/$test" "tests/async/$test.nim"
    done
}
tree epoll build
tree kqueue build

method() { nm -u "$BUILD/$1/bin/tioselectors" | sed -n -E 's/^ *U (epoll_create1|epoll_create|kqueue)(@.*)?$/\1/p' | sort -u | xargs; }
assert_method epoll_create1 "$(method epoll)"
assert_method kqueue "$(method kqueue)"

# tests BACKEND: a program is a test, but the first, which has a line for each of its own. What fails is run again.
tests() {
    local test n verdict log
    for test in $TESTS; do
        log=$LOGS/$test-$1
        verdict=FAIL
        for ((n = 0; n < 3; n++)); do
            (cd "$BUILD/$1/tests/async" && timeout -k 5 60 "$BUILD/$1/bin/$test") > "$log" 2>&1 < /dev/null && verdict=OK && break
        done
        [ "$test" != tioselectors ] || sed -n -E 's/^(OK|FAIL) (.*)\.\.\.$/\1 \2/p' "$log"
        echo "$verdict $test"
    done > "$LOGS/tests.$1"
}
tests epoll
tests kqueue
suite tests epoll kqueue
finish

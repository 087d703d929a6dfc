#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# nng's own test suite, on its poller with kqueue (EV_DISPATCH, and EVFILT_USER to wake it).

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh

begin nng
needs cc cmake make ctest
fetch nng

build() {
    # kqueue is what it prefers where it finds it.
    if [ "$1" = kqueue ]; then
        set -- -DCMAKE_C_FLAGS="$KQUEUE_CFLAGS" -DCMAKE_EXE_LINKER_FLAGS="$KQUEUE_LDFLAGS" \
            -DCMAKE_SHARED_LINKER_FLAGS="$KQUEUE_LDFLAGS" -DCMAKE_C_STANDARD_LIBRARIES=-lkqueue -DCMAKE_REQUIRED_LIBRARIES=kqueue
    else
        set --
    fi
    cmake -S . -B out -DCMAKE_BUILD_TYPE=RelWithDebInfo -DNNG_TESTS=ON -DNNG_TOOLS=OFF "$@"
    make -C out -j2
}
tree epoll build
tree kqueue build

# method BACKEND: which poller was compiled.
method() { find "$BUILD/$1/out" -name 'posix_pollq_*.o' | sed -n 's/.*posix_pollq_\([a-z]*\)\.c\.o/\1/p' | sort -u; }
assert_method epoll "$(method epoll)"
assert_method kqueue "$(method kqueue)"

# tests BACKEND: a test program is a result; one that fails is run again.
tests() {
    (cd "$BUILD/$1/out" && timeout -k 5 600 ctest --timeout 120 --repeat until-pass:3) > "$LOGS/ctest-$1" 2>&1 < /dev/null
    sed -n -E 's/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) \.+ *Passed .*/OK \1/p; s/^ *[0-9]+\/[0-9]+ Test +#[0-9]+: ([^ ]+) \.+\**(Failed|Timeout|.*Exception).*/FAIL \1/p' \
        "$LOGS/ctest-$1" | awk '{ if (!($2 in v)) o[++n] = $2; v[$2] = $1 } END { for (i = 1; i <= n; i++) print v[o[i]], o[i] }' > "$LOGS/tests.$1"
}
tests epoll
tests kqueue
suite tests epoll kqueue
finish

#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Real programs on our kqueue, each beside itself on epoll. Run by "make check-programs".
#
#   tests/programs/run.sh PREFIX_DIR [PROGRAM...]
#
# PROGRAM is the name of a script in this folder, and all of them by default. Each is built of Debian's source
# package below build/programs, once, and runs with a time limit. common.sh says what the environment can change.

set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1

export PREFIX_DIR
PREFIX_DIR=$(realpath -m "${1:?usage: tests/programs/run.sh PREFIX_DIR [PROGRAM...]}")
shift
export PROGRAMS=${PROGRAMS:-build/programs}

# "NAME SECONDS what it stands for", in the order of value. The time is for a first run, with download and build, on
# two processors.
programs() {
    cat <<'LIST'
python 1500 test_kqueue, test_selectors, asyncio
redis 3000 redis-benchmark, its own test suite
nginx 900 files and a proxy under load
haproxy 900 a proxy under load
lighttpd 900 files and a proxy under load
libev 600 its watchers, the bare cost of its loop
libuv 2400 its own test suite
nng 1800 its own test suite: DISPATCH
libowfat 900 its one-shot events in threads: ONESHOT
fswatch 900 what it sees of a tree: VNODE
dovecot 2400 its library's tests, its notifications of a mailbox: VNODE, a kqueue in a kqueue
watchman 1200 what it sees of a tree: VNODE
clsync 900 what it sees of a tree: VNODE, all changes with every call
nim 1800 its selectors and asyncdispatch: TIMER SIGNAL PROC VNODE
LIST
}

for file in include/kqueue/sys/event.h lib/libkqueue.so lib/pkgconfig/libkqueue.pc; do
    [ -e "$PREFIX_DIR/$file" ] || {
        echo "check-programs: $PREFIX_DIR has no $file: not an installation of libkqueue" >&2
        exit 1
    }
done

[ $# -gt 0 ] || set -- $(programs | cut -d' ' -f1)
mkdir -p "$PROGRAMS/rows"
rm -f "$PROGRAMS"/rows/*

passed=0 failed=0 skipped=0
for name; do
    limit=$(programs | awk -v n="$name" '$1 == n { print $2 }')
    if [ -z "$limit" ]; then
        echo "check-programs: no program $name; there are: $(programs | cut -d' ' -f1 | xargs)" >&2
        failed=$((failed + 1))
        continue
    fi
    printf '\n==== %s (at most %d s)\n' "$name" "$limit"
    begin=$(date +%s)
    out=$PROGRAMS/$name.out
    timeout -k 10 "$limit" "tests/programs/$name.sh" 2>&1 | tee "$out"
    status=${PIPESTATUS[0]}
    echo "==== $name: $(($(date +%s) - begin)) s"
    if read -r p f s < <(sed -n -E '$s/^([0-9]+) passed, ([0-9]+) failed, ([0-9]+) skipped$/\1 \2 \3/p' "$out"); then
        passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    else
        echo "$name ended without its counts (status $status; 124: its time was up)"
        failed=$((failed + 1))
    fi
done

rows() { cat "$PROGRAMS"/rows/* 2>/dev/null | awk -F '\t' -v kind="$1" '$1 == kind'; }

echo
if [ -n "$(rows S)" ]; then
    printf '%-10s %-24s %-10s %6s %7s   %-10s %6s %7s\n' program suite beside ran passed method ran passed
    rows S | awk -F '\t' '{ printf "%-10s %-24s %-10s %6d %7d   %-10s %6d %7d\n", $2, $3, $4, $5, $6, $7, $8, $9 }'
    echo
fi
if [ -n "$(rows L)" ]; then
    printf '%-10s %-24s %18s %10s %7s   %14s %9s %7s\n' program load 'epoll, a second' kqueue ratio 'us of processor' kqueue ratio
    rows L | awk -F '\t' '{
        printf "%-10s %-24s %10d %-7s %10d %7.3f   %15.2f %9.2f %7.3f %s\n", $2, $3, $5, $4 "s", $6, $7, $8, $9, $10, $11 == "ok" ? "" : $11 }'
    echo
fi
rows N | awk -F '\t' '{ printf "%s: not run: %s\n", $2, $3 }'
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" = 0 ] && [ "$passed" -gt 0 ]

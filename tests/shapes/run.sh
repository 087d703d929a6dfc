#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The cases of this directory in every way that a program can come to have the library, and what other tools make of
# them. Run by "make check", and with "full" by "make check-full". The last line is the sum.
#
#   tests/shapes/run.sh STAGE [full]
#
#   STAGE   an installation of ours: include/kqueue, lib/libkqueue.so, lib/libkqueue.a
#   full    more rounds, more tools, and the conformance suite in the shapes that it is not in by itself
#   BUILD   where the programs are built; default build/shapes
#   CI      true: a tool that is missing is a failure

cd "$(dirname "$0")/../.." || exit 1
STAGE=$(realpath "${1:?usage: tests/shapes/run.sh STAGE [full]}")
full=${2:-}
BUILD=${BUILD:-build/shapes}
CC=${CC:-cc}
HERE=tests/shapes
LIBRARY=$STAGE/lib/libkqueue.so.0
CASES="$HERE/main.c $HERE/numbers.c $HERE/helpers.c $HERE/taken.c $HERE/forks.c $HERE/life.c $HERE/payload.c $HERE/stress.c"
CFLAGS="-std=c11 -O1 -g -Wall -Wextra -Werror -pthread -I$STAGE/include/kqueue"
rm -rf "$BUILD"
mkdir -p "$BUILD"
results=$BUILD/results
: > "$results"
# The tools below are told nothing by the environment.
unset LD_PRELOAD KQUEUE_VERIFY KQUEUE_DEBUG

say() { printf '%s\n' "$*" | tee -a "$results"; }
ok() { say "ok      $1"; }
failed() { say "FAILED  $1"; }
# skipped NAME REASON [expected]
skipped() {
    if [ "${CI:-}" = true ] && [ -z "${3:-}" ]; then
        failed "$1: $2, which is a failure in CI"
    else
        say "skipped $1: $2"
    fi
}
have() { command -v "$1" >/dev/null; }

# judge NAME COMMAND...: a command that has to succeed; what it said is shown if it does not.
judge() {
    name=$1 log=$BUILD/$(printf %s "$1" | tr -c 'a-zA-Z0-9_.\n' _).log
    shift
    if "$@" > "$log" 2>&1; then ok "$name"; else failed "$name: $(tail -n 5 "$log")"; fi
}

# ---- the shapes

# shellcheck disable=SC2086 # lists of words
build() { # NAME FILE FLAGS...: the cases, and what brings them to the library
    out=$BUILD/$1
    shift
    $CC $CFLAGS -o "$out" $CASES "$@"
}
# run NAME FRONT ENVIRONMENT...: all cases, while others run; "shown" waits and shows what they said.
run() {
    shape=$1 front=$2
    shift 2
    started="$started $shape"
    env SHAPE="$shape" FRONT="$front" "$@" > "$BUILD/$shape.out" 2>&1 &
}
shown() {
    wait
    for shape in $started; do
        grep -v '^[0-9]* passed, ' "$BUILD/$shape.out" | tee -a "$results"
        grep -q '^[0-9]* passed, ' "$BUILD/$shape.out" || failed "$shape: it broke off"
    done
    started=
}
started=

RPATH=-Wl,-rpath,$STAGE/lib
HERE_BUILT=$(realpath "$BUILD")
unwanted=$(nm -D --undefined-only "$LIBRARY" | grep -E -w -e 'atexit|__cxa_atexit|on_exit|pthread_create|thrd_create')
if [ -z "$unwanted" ]; then ok no_thread_and_no_exit_handler
else failed "no_thread_and_no_exit_handler: the library calls $unwanted"; fi
build linked $HERE/linked.c -L"$STAGE/lib" -lkqueue "$RPATH" && run linked 1 "$BUILD/linked"
# libevent's way: libc comes before us.
$CC $CFLAGS -shared -fPIC -o "$BUILD/libguest.so" $HERE/linked.c -L"$STAGE/lib" -lkqueue "$RPATH" &&
    build library -L"$BUILD" -lguest "-Wl,-rpath,$HERE_BUILT,-rpath-link,$STAGE/lib" && run library 0 "$BUILD/library"
build plugin $HERE/found.c -ldl && run plugin 0 LIBKQUEUE="$LIBRARY" "$BUILD/plugin"
build preloaded $HERE/found.c -ldl && run preloaded 1 LD_PRELOAD="$LIBRARY" "$BUILD/preloaded"
build archive $HERE/linked.c "$STAGE/lib/libkqueue.a" -ldl && run archive 1 "$BUILD/archive"
build static $HERE/linked.c "$STAGE/lib/libkqueue.a" -static && run static 1 "$BUILD/static"
shown

# Beside a libc of its own it comes before that one's close(), but nobody calls either.
judge plugin.in_a_namespace_of_its_own env NAMESPACE= LIBKQUEUE="$LIBRARY" FRONT=0 "$BUILD/plugin" it_comes_back
$CC -std=c11 -O1 -Wall -Wextra -Werror -o "$BUILD/door" $HERE/door.c &&
    judge preload.a_close_of_the_programs_own env LD_PRELOAD="$LIBRARY" "$BUILD/door"

# The archive is made of parts that want glibc (BUGS.md); what is missing is told by the linker.
if have musl-gcc; then
    if (CC=musl-gcc; build musl $HERE/linked.c "$STAGE/lib/libkqueue.a" -static) 2> "$BUILD/musl.err"; then
        run musl 1 "$BUILD/musl"
        shown
    else
        lacking=$(sed -n 's/.*undefined reference to .\([A-Za-z_0-9]*\).*/\1/p' "$BUILD/musl.err" | sort -u | xargs)
        skipped musl "musl has no ${lacking:-$(tail -n 1 "$BUILD/musl.err")}" expected
    fi
else
    skipped musl "no musl-gcc (musl-tools)" expected
fi

# ---- a program without kqueue, and the library preloaded

# calls COMMAND...: how many system calls it and its children make. What waits for another process may be made once
# more or less, as it happens.
calls() {
    setarch -R strace -f -qq -e signal=none -o "$BUILD/calls" -E GIT_OPTIONAL_LOCKS=0 -E PYTHONHASHSEED=0 -E PYTHONDONTWRITEBYTECODE=1 "$@" \
        > /dev/null 2>&1 || return 1
    grep -vc -e '<unfinished' -e '+++' -e ' wait4(' -e 'wait4 resumed' -e futex -e rt_sigreturn "$BUILD/calls"
}
extra() {
    without=$(calls "$@") && with=$(calls -E LD_PRELOAD="$LIBRARY" "$@") && echo $((with - without))
}
# unchanged PROGRAM OPTION SHORT OPTION LONG: what we add to a short run is what we add to a long one, so all of it is
# start-up.
unchanged() {
    name=preload.$(basename "$1")_is_not_changed
    if ! have strace || ! have setarch || ! have "$1"; then
        skipped "$name" "no strace, setarch or $1"
        return
    fi
    # shellcheck disable=SC2086
    short=$(extra "$1" $2 "$3")
    # shellcheck disable=SC2086
    long=$(extra "$1" $4 "$5")
    if [ -n "$short" ] && [ "$short" = "$long" ]; then
        ok "$name ($short more system calls at start-up, none after)"
    else
        failed "$name: ${short:-?} more system calls in a short run, ${long:-?} in a long one"
    fi
}
unchanged sh -c : -c 'i=0
while [ $i -lt 50 ]; do i=$((i + 1)); : > /dev/null; done
(exit 3); exec 7< /dev/null 7<&-; (:); (:)'
mkdir -p "$BUILD/repository"
# (Older than its index: else git looks into the file again.)
(cd "$BUILD/repository" && git init -q . && echo text > file && touch -d '1 day ago' file && git add file) > /dev/null 2>&1
unchanged git "-C $BUILD/repository" --version "-C $BUILD/repository" status
python=$(python3 -c 'import sys; print(sys.executable)' 2> /dev/null || echo python3)
unchanged "$python" -c pass -c 'import os, socket, threading, select, signal
for i in range(50):
    f = open("/dev/null"); d = os.dup(f.fileno()); os.dup2(d, 60); os.close(60); os.close(d); f.close()
a, b = socket.socketpair(); a.close(); b.close(); e = select.epoll(); e.close()
for handler in [print, signal.SIG_IGN, signal.SIG_DFL] * 20: signal.signal(signal.SIGUSR1, handler)
if os.fork() == 0: os._exit(0)
os.wait()
os.closerange(50, 100)'

# ---- the user's program under a sanitizer, the library as it is

sanitized() { # NAME COMMAND...
    tool=$1
    shift
    for by in user_event pipe timer; do
        judge "$tool.payload_by_$by" env "$@" "payload_by_$by"
    done
}
LINKED="$HERE/linked.c -L$STAGE/lib -lkqueue $RPATH"
# shellcheck disable=SC2086
if build address -fsanitize=address,undefined $LINKED 2> "$BUILD/address.err"; then
    sanitized address "$BUILD/address"
    [ "$full" != full ] || { run address 1 FULL= "$BUILD/address"; shown; }
else skipped address "the compiler has no -fsanitize=address"; fi
# shellcheck disable=SC2086
if have setarch && build thread -fsanitize=thread $LINKED 2> "$BUILD/thread.err"; then
    # Without random addresses, which some of its versions cannot cope with.
    sanitized thread TSAN_OPTIONS=halt_on_error=1 setarch -R "$BUILD/thread"
else skipped thread "no setarch, or the compiler has no -fsanitize=thread"; fi

# ---- "full": other tools in the process or around it, and more of the same

# conformance NAME BACKEND FLAGS...: the conformance suite, linked in another way. Without what makes calls fail: it
# interposes libc's functions itself, and its tables are those of the library in front.
conformance() {
    name=conformance.$1 program=$BUILD/conformance-$1 backend=$2
    shift 2
    objects=$(ls build/ctests/*.o | grep -v -e /faults -e /refusals -e /memory -e /operations -e /supervise -e /interrupted)
    # shellcheck disable=SC2086
    if ! $CC -pthread -o "$program" $objects "$@" 2> "$program.err"; then
        failed "$name: $(tail -n 1 "$program.err")"
        return
    fi
    "$program" -b "$backend" -j 3 > "$program.log" 2>&1
    grep '^FAILED' "$program.log" | tee -a "$results"
    say "$name: $(tail -n 1 "$program.log")"
}

if [ "$full" = full ]; then
    if have strace; then judge strace.payload strace -f -qq -o /dev/null "$BUILD/linked" payload_by_pipe
    else skipped strace.payload "no strace"; fi
    if have gdb; then
        judge gdb.payload gdb -q -batch -ex run -ex 'quit $_exitcode' --args "$BUILD/linked" payload_by_user_event
    else skipped gdb.payload "no gdb"; fi
    jemalloc=$(ldconfig -p 2> /dev/null | sed -n 's/.*libjemalloc.so.2.*=> //p' | head -n 1)
    if [ -n "$jemalloc" ]; then
        run jemalloc_first 1 FULL= LD_PRELOAD="$jemalloc $LIBRARY" "$BUILD/preloaded"
        run jemalloc_last 1 FULL= LD_PRELOAD="$LIBRARY $jemalloc" "$BUILD/preloaded"
        shown
    else skipped jemalloc "no libjemalloc.so.2"; fi
    if have valgrind; then
        sanitized valgrind valgrind -q --error-exitcode=9 --leak-check=full --errors-for-leak-kinds=definite \
            "$BUILD/linked"
    else skipped valgrind "no valgrind"; fi
    judge linked.ten_thousand_processes env TIMES=10000 SHAPE=linked FRONT=1 "$BUILD/linked" born_and_dead
    ${MAKE:-make} --no-print-directory -C ctests PREFIX_DIR="$STAGE" BUILD=../build/ctests > "$BUILD/ctests.log" 2>&1 ||
        failed "ctests: $(tail -n 1 "$BUILD/ctests.log")"
    conformance static linux "$STAGE/lib/libkqueue.a" -static
    # libc's close() and sigaction() come before ours.
    conformance behind linux-behind -lc -L"$STAGE/lib" -lkqueue "$RPATH"
fi

awk '/^ok /{ok++} /^FAILED /{bad++} /^skipped /{skip++}
    /^conformance[.]/{ok += $2; bad += ($2 == "") ; skip += $6}
    END { printf "%d passed, %d failed, %d skipped\n", ok, bad, skip; exit bad != 0 }' "$results"

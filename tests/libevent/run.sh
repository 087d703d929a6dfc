#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# libevent's own regression suite on our kqueue, beside the same suite on epoll. Run by "make check-libevent".
#
#   tests/libevent/run.sh [PREFIX_DIR]
#
#   PREFIX_DIR  an installation of ours: include/kqueue/sys/event.h, lib/libkqueue.so, lib/pkgconfig/libkqueue.pc
#   SHAPE       static (default): the program holds libevent and is itself linked with -lkqueue, so that our close()
#               and sigaction() come before libc's. shared: program -> libevent.so -> libkqueue.so, libc's come first.
#   BUILD       where libevent is unpacked, built and run; default build/libevent. A second run builds nothing.
#   BUDGET      seconds that the tests may take, builds not counted; default 330. What is not through by then has failed.
#   CI          true: not being able to run is a failure.
#
# The source is Debian's source package, found through the apt sources of this machine. Two trees are built of it,
# each with one backend only, and both run what libevent's "make verify" runs (test/test.sh): the small test
# programs, "regress", and "regress" again with EVENT_DEBUG_MODE. A test must have run on kqueue if it ran on
# epoll, and must pass there if it passes on epoll.

set -u -o pipefail
cd "$(dirname "$0")/../.." || exit 1
. tests/debian-source.sh

PREFIX_DIR=$(realpath -m "${1:-${PREFIX_DIR:?usage: tests/libevent/run.sh PREFIX_DIR}}")
BUILD=$(realpath -m "${BUILD:-build/libevent}")
SHAPE=${SHAPE:-static}
BUDGET=${BUDGET:-330}

# A test that says nothing for this long is hung. tinytest's own alarm ends most at 30 s, but not the tests that
# catch SIGALRM themselves.
QUIET=35

# A failure is run again alone this often: only if it passes every time was the first failure the machine's load.
AGAIN=3

PROGRAMS="test-init test-eof test-closed test-weof test-time test-changelist test-fdleak test-dumpevents"
LOGS=$BUILD/log
SOURCE=$BUILD/source

# Tests that run on epoll and not on kqueue, whatever the kqueue: "NAME reason", the name as the table prints it.
# libevent offers EV_CLOSED only with epoll and poll (EV_FEATURE_EARLY_CLOSE; its kqueue.c does not have it).
epoll_only() {
    local test mode
    echo "test-closed EV_CLOSED"
    for mode in regress regress_debug; do
        for test in close shutdown close_persist shutdown_persist close_et shutdown_et close_persist_et shutdown_persist_et; do
            echo "$mode:main/simpleclose_$test EV_CLOSED"
        done
    done
}

# Tests that fail in the shape "shared", in the same form. libevent ignores a signal right after it asked kevent() for
# it. Where libc's sigaction() comes before ours we are not told, and the system drops what is sent before the next
# kevent() that waits. These raise() it before that.
behind_libc() {
    local test mode
    [ "$SHAPE" = shared ] || return 0
    for mode in regress regress_debug; do
        for test in main/fork signal/immediatesignal signal/signal_switchbase signal/signal_while_processing; do
            echo "$mode:$test SIG_IGN"
        done
    done
}

die() {
    echo "check-libevent: $*" >&2
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}

unavailable() {
    [ "${CI:-}" = true ] && die "cannot run, which is a failure in CI: $*"
    echo "check-libevent: not run: $*"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}

seconds_since() { echo $(($(date +%s) - $1)); }

# ---- source and builds

fetch_source() {
    local apt=$BUILD/apt tool
    [ -e "$SOURCE/.unpacked" ] && return
    for tool in apt-get apt-config dpkg-source; do
        command -v $tool >/dev/null || unavailable "no $tool: libevent's source is Debian's source package (apt, dpkg-dev)"
    done
    rm -rf "$SOURCE" "$apt"
    mkdir -p "$apt"
    private_apt "$apt" > "$apt/apt.conf"
    # Another source on this machine may be out of order; what counts is whether libevent can be had.
    { (cd "$apt" && apt-get -q -c apt.conf update); download_source "$apt" libevent; } > "$LOGS/fetch" 2>&1 ||
        unavailable "libevent's source package cannot be fetched: $(grep -E -m 1 '[Ff]ailed to fetch|^E:' "$LOGS/fetch"), $LOGS/fetch"
    dpkg-source -x "$apt"/libevent_*.dsc "$SOURCE" >> "$LOGS/fetch" 2>&1 || unavailable "dpkg-source failed, $LOGS/fetch"
    # Debian patches Makefile.am; the Makefile.in of the release serves, and saves needing automake.
    touch "$SOURCE"/{aclocal.m4,configure,config.h.in,Makefile.in}
    basename "$apt"/libevent_*.dsc .dsc > "$SOURCE/.unpacked"
    rm -rf "$apt"
}

# configure_tree BACKEND: in the current directory, with one backend. No option chooses a backend: configure looks
# for functions and headers, and believes its cache variables.
configure_tree() {
    local backend=$1
    set -- --disable-samples --prefix="$BUILD/nowhere" \
        ac_cv_func_poll=no ac_cv_header_sys_devpoll_h=no ac_cv_func_port_create=no
    if [ "$backend" = epoll ]; then
        set -- "$@" --disable-shared ac_cv_header_sys_event_h=no
    else
        # Without sys/epoll.h, too, or configure tries the system call. kqueue.c turns the udata into an integer and
        # assigns that (on systems it does not know), which gcc 14 calls an error.
        set -- "$@" ac_cv_func_epoll_ctl=no ac_cv_header_sys_epoll_h=no \
            CPPFLAGS="-I$PREFIX_DIR/include/kqueue" CFLAGS="-g -O2 -Wno-int-conversion" LIBS=-lkqueue \
            LDFLAGS="-L$PREFIX_DIR/lib -Wl,-rpath-link,$PREFIX_DIR/lib"
        if [ "$SHAPE" = static ]; then set -- "$@" --disable-shared; else set -- "$@" --disable-static; fi
    fi
    "$SOURCE/configure" "$@" || return 1
    # select() goes after configure: when that finds neither select nor poll nor epoll it leaves out signal.c, which
    # kqueue.c needs. select.c is then compiled, to nothing.
    sed -i 's|^#define HAVE_SELECT 1|/* select is switched off */|' config.h
}

make_tree() {
    if [ "$1" != kqueue ] || [ "$SHAPE" = static ]; then
        make -j2
        return
    fi
    # A program -> libevent.so -> libkqueue.so: libtool would link the program with -lkqueue as well, twice over.
    make include/event2/event-config.h &&
        make -j2 libevent_core.la libevent_extra.la libevent_pthreads.la libevent_openssl.la libevent.la &&
        sed -i 's/ -lkqueue//' ./*.la && make -j2 LIBS=
}

# build_tree BACKEND DIR: builds it unless it was built of the same source, by the same script, with the same header.
build_tree() {
    local backend=$1 dir=$2 start log key
    start=$(date +%s)
    log=$LOGS/build-$(basename "$dir")
    key=$(cat "$SOURCE/.unpacked" tests/libevent/run.sh | cksum)
    [ "$backend" = epoll ] || key+=" $(cksum < "$PREFIX_DIR/include/kqueue/sys/event.h") $PREFIX_DIR"
    [ "$(cat "$dir/.built" 2>/dev/null)" = "$key" ] && return
    rm -rf "$dir"
    mkdir -p "$dir"
    # configure runs programs that need our library.
    (cd "$dir" && export LD_LIBRARY_PATH="$PREFIX_DIR/lib" && configure_tree "$backend" && make_tree "$backend") > "$log" 2>&1 ||
        die "libevent does not build on $backend: $(tail -n 3 "$log") ($log)"
    if [ "$backend" = kqueue ] && ! grep -q 'checking for working kqueue.* yes' "$log"; then
        die "libevent's configure finds no working kqueue ($dir/config.log)"
    fi
    echo "$key" > "$dir/.built"
    echo "built libevent on $backend in $(seconds_since "$start") s"
}

# ---- running

# tree BACKEND: where it was built. program BACKEND NAME: the executable (libtool puts a script before one that needs
# a library of the tree). in_tree BACKEND COMMAND...: the command with the libraries of the tree.
tree() { case $1 in kqueue) echo "$BUILD/kqueue-$SHAPE" ;; *) echo "$BUILD/$1" ;; esac; }

program() {
    local dir
    dir=$(tree "$1")/test
    if [ -x "$dir/.libs/$2" ]; then echo "$dir/.libs/$2"; else echo "$dir/$2"; fi
}

in_tree() {
    local path
    path=$(tree "$1")/.libs:$PREFIX_DIR/lib
    shift
    LD_LIBRARY_PATH=$path "$@"
}

# The backend that libevent says it uses. With both forbidden it must find none, or it has yet another.
method() {
    local init used
    init=$(program "$1" test-init)
    used=$(EVENT_SHOW_METHOD=1 in_tree "$1" "$init" 2>&1 | sed -n 's/.*libevent using: //p')
    if EVENT_NOEPOLL=1 EVENT_NOKQUEUE=1 in_tree "$1" "$init" 2>/dev/null; then used="$used and others"; fi
    echo "${used:-none}"
}

# Which library answers when libevent calls $2.
answers() {
    LD_DEBUG=bindings LD_BIND_NOW=1 in_tree "$1" "$(program "$1" test-init)" 2>&1 |
        sed -n "s,.*binding file .*/\(test-init\|libevent_core[^ ]*\) .* to .*/\([^ ]*\) .*: normal symbol \`$2'.*,\2,p" |
        head -n 1
}

# left: the seconds that remain of the budget.
left() { echo $((DEADLINE - $(date +%s))); }

# patient LOG COMMAND...: runs it to its end, to the end of the budget or until it has been silent too long.
patient() {
    local log=$1 pid
    shift
    : > "$log"
    # To timeout, 0 is for ever.
    [ "$(left)" -gt 0 ] || return 1
    # timeout makes a process group of it, and passes on the signal that ends it.
    timeout -k 5 "$(left)" "$@" > "$log" 2>&1 < /dev/null &
    pid=$!
    while sleep 0.2; kill -0 $pid 2>/dev/null; do
        if [ "$(seconds_since "$(stat -c %Y "$log")")" -gt $QUIET ]; then
            echo "[silent for $QUIET s, ended]" >> "$log"
            kill $pid 2>/dev/null
            sleep 1
        fi
    done
    wait $pid
}

# verdicts MODE: reads what regress printed and prints "VERDICT MODE:TEST", in order. A test begins with its name; its
# verdict ends the line, or a later one if the test printed something; a retried test has several, the last counts.
# A test without a verdict ended the process.
verdicts() {
    awk -v mode="$1" '
        function finish() { if (test != "") print (verdict == "" ? "LOST" : verdict), mode ":" test }
        match($0, /^[a-z]+\/[A-Za-z0-9_]+: /) {
            name = substr($0, 1, RLENGTH - 2)
            if (name != test) { finish(); test = name }
            verdict = ""
        }
        /OK$/ { verdict = "OK" }
        /SKIPPED$/ { verdict = "SKIP" }
        /^  \[[A-Za-z0-9_]+ FAILED\]$/ { verdict = "FAIL" }
        END { finish() }'
}

# regress BACKEND MODE: every test that is on by default. They run in one process that forks, as upstream runs them; where a
# test takes the process with it, that test has failed and another process goes on behind it.
regress() {
    local backend=$1 mode=$2 exe log part=0 last
    local -a tests
    exe=$(program "$backend" regress)
    mapfile -t tests < <(in_tree "$backend" "$exe" --list-tests | sed -n 's/^    \([^ ]*\)$/\1/p')
    while [ ${#tests[@]} -gt 0 ]; do
        if [ "$(left)" -le 0 ]; then
            printf "LATE $mode:%s\n" "${tests[@]}"
            return
        fi
        log=$LOGS/$backend-$mode-$((part += 1))
        in_tree "$backend" patient "$log" "$exe" "${tests[@]}"
        verdicts "$mode" < "$log" > "$log.verdicts"
        last=$(sed -n "\$s/.* $mode://p" "$log.verdicts")
        [ -n "$last" ] || last=${tests[0]}
        while [ ${#tests[@]} -gt 0 ]; do
            local test=${tests[0]}
            tests=("${tests[@]:1}")
            grep -F -x -e "OK $mode:$test" -e "SKIP $mode:$test" -e "FAIL $mode:$test" "$log.verdicts" ||
                if [ "$(left)" -gt 0 ]; then echo "FAIL $mode:$test"; else echo "LATE $mode:$test"; fi
            [ "$test" != "$last" ] || break
        done
    done
}

# small BACKEND NAME: one of the small programs, as test.sh judges it.
small() {
    local backend=$1 name=$2 log=$LOGS/$1-$2
    if ! in_tree "$backend" patient "$log" "$(program "$backend" "$name")"; then
        echo "FAIL $name"
    elif [ "$name" = test-closed ] && ! grep -q 'detected socket close' "$log"; then
        # It ends with success where the backend has no EV_CLOSED.
        echo "SKIP $name"
    elif [ "$name" = test-dumpevents ] && command -v python3 >/dev/null &&
        ! python3 "$SOURCE/test/check-dumpevents.py" < "$log" > "$log.check" 2>&1; then
        echo "FAIL $name"
    else
        echo "OK $name"
    fi
}

# once BACKEND TEST: one test alone, named as in the table.
once() {
    local log=$LOGS/$1-again
    case $2 in
        regress:*) in_tree "$1" patient "$log" "$(program "$1" regress)" "${2#*:}" ;;
        regress_debug:*) EVENT_DEBUG_MODE=1 in_tree "$1" patient "$log" "$(program "$1" regress)" "${2#*:}" ;;
        *) small "$1" "$2" | grep -q '^OK' ;;
    esac
}

# again BACKEND: passes its verdicts through, FAIL turned into SHAKY where the test passes AGAIN times when run alone.
again() {
    local verdict test n
    while read -r verdict test; do
        if [ "$verdict" = FAIL ] && ! grep -q "^$test " "$LOGS/behind-libc"; then
            verdict=SHAKY
            for ((n = 0; n < AGAIN; n++)); do
                if [ "$(left)" -le 0 ] || ! once "$1" "$test"; then
                    verdict=FAIL
                    break
                fi
            done
        fi
        echo "$verdict $test"
    done
}

# run_backend BACKEND: all of it; the verdicts land in log/BACKEND.verdicts. The suite sleeps nearly all the time
# (2 s of processor in 90 s), so the two modes and the two backends run beside each other.
run_backend() {
    local backend=$1 name start
    start=$(date +%s)
    EVENT_DEBUG_MODE=1 regress "$backend" regress_debug > "$LOGS/$backend.debug" &
    {
        for name in $PROGRAMS; do small "$backend" "$name"; done
        regress "$backend" regress
    } > "$LOGS/$backend.plain"
    wait
    cat "$LOGS/$backend.plain" "$LOGS/$backend.debug" | again "$backend" > "$LOGS/$backend.verdicts"
    seconds_since "$start" > "$LOGS/$backend.seconds"
}

# count BACKEND VERDICT...
count() {
    local backend=$1
    shift
    grep -c -E "^($(IFS='|'; echo "$*")) " "$LOGS/$backend.verdicts"
}

table() {
    local backend
    printf '\n%-8s %-10s %7s %7s %7s %7s %8s\n' backend method ran passed failed skipped seconds
    for backend in epoll kqueue; do
        printf '%-8s %-10s %7d %7d %7d %7d %8d\n' $backend "$(method $backend)" \
            "$(count $backend OK SHAKY FAIL LATE)" "$(count $backend OK SHAKY)" "$(count $backend FAIL LATE)" \
            "$(count $backend SKIP)" "$(cat "$LOGS/$backend.seconds")"
    done
    echo
}

# judge: names what differs from epoll, and the counts as the last line.
judge() {
    awk '
        function list(title, names, n) { if (n) printf "%s: %d\n%s", title, n, names }
        FILENAME ~ /epoll-only$/ { absent[$1] = $2; next }
        FILENAME ~ /behind-libc$/ { behind[$1] = $2; next }
        FILENAME ~ /epoll\.verdicts$/ { epoll[$2] = $1; order[++tests] = $2; next }
        { if (!($2 in epoll)) order[++tests] = $2; kqueue[$2] = $1 }
        END {
            for (i = 1; i <= tests; i++) {
                t = order[i]; e = epoll[t]; k = kqueue[t]; line = "  " t "\n"
                if (k == "OK") passed++
                else if (k == "SHAKY") { passed++; shaky++; shaky_names = shaky_names line }
                else if (k == "LATE") { failed++; late++; late_names = late_names line }
                else if (k == "FAIL" && e == "FAIL") { skipped++; both++; both_names = both_names line }
                else if (k == "FAIL" && t in behind) { skipped++; libc++; libc_names = libc_names "  " t " (" behind[t] ")\n" }
                else if (k == "FAIL") { failed++; ours++; our_names = our_names line }
                # not run on kqueue
                else if (e == "SKIP") skipped++
                else if (t in absent) { skipped++; only++; only_names = only_names "  " t " (" absent[t] ")\n" }
                else { failed++; missing++; missing_names = missing_names line }
            }
            list("only epoll has it, not a loss", only_names, only)
            list("fail on epoll as well, counted as skipped", both_names, both)
            list("fail in this shape only, because libc comes first, counted as skipped", libc_names, libc)
            list("failed once beside the others, passed every time when run alone", shaky_names, shaky)
            list("NOT RUN on kqueue, and run on epoll", missing_names, missing)
            list("NOT RUN on kqueue before the time was over", late_names, late)
            list("FAILED on kqueue, not on epoll", our_names, ours)
            printf "%d passed, %d failed, %d skipped\n", passed, failed, skipped
            exit failed || !passed
        }' "$LOGS/epoll-only" "$LOGS/behind-libc" "$LOGS/epoll.verdicts" "$LOGS/kqueue.verdicts"
}

# ---- main

for file in include/kqueue/sys/event.h lib/libkqueue.so lib/pkgconfig/libkqueue.pc; do
    [ -e "$PREFIX_DIR/$file" ] || die "$PREFIX_DIR has no $file: not an installation of libkqueue"
done
case $SHAPE in static | shared) ;; *) die "SHAPE is static or shared, not $SHAPE" ;; esac
for tool in make "${CC:-cc}" awk timeout realpath; do
    command -v "$tool" >/dev/null || unavailable "no $tool"
done
# libevent leaves out what it finds no library for; fewer tests, and nobody would notice.
for header in openssl/ssl.h zlib.h; do
    echo "#include <$header>" | "${CC:-cc}" -E - >/dev/null 2>&1 || unavailable "no $header (libssl-dev, zlib1g-dev)"
done
mkdir -p "$LOGS"
rm -f "$LOGS"/{epoll,kqueue}[.-]*

begin=$(date +%s)
fetch_source
build_tree epoll "$(tree epoll)"
build_tree kqueue "$(tree kqueue)"
echo "$(tr _ ' ' < "$SOURCE/.unpacked"), shape $SHAPE; ready after $(seconds_since "$begin") s"
echo "method in use: $(method kqueue) (and beside it $(method epoll)); libevent's close() is $(answers kqueue close)'s, its sigaction() $(answers kqueue sigaction)'s"
[ "$(method kqueue)" = kqueue ] || die "libevent does not use its kqueue backend but: $(method kqueue)"
if [ "$SHAPE" = shared ] && readelf -d "$(program kqueue regress)" | grep -q 'NEEDED.*libkqueue'; then
    die "regress is linked with libkqueue itself: that is not the shape wanted"
fi

epoll_only > "$LOGS/epoll-only"
behind_libc > "$LOGS/behind-libc"
DEADLINE=$(($(date +%s) + BUDGET))
run_backend epoll &
run_backend kqueue
wait
table
judge
status=$?
[ $status = 0 ] || echo "(logs: $LOGS)" >&2
exit $status

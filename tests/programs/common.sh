# SPDX-License-Identifier: BSD-2-Clause
#
# What the programs of "make check-programs" have in common. Sourced by each of them, from the top of the repository:
#
#   begin NAME              names the program; everything of it is below build/programs/NAME
#   needs TOOL...           ends with a printed skip where one is missing
#   fetch PACKAGE           unpacks Debian's source package into $SOURCE, once
#   tree BACKEND FUNCTION   a copy of the source in $BUILD/BACKEND, built there by FUNCTION BACKEND, once. BACKEND is
#                           epoll or kqueue, or both
#   suite NAME METHODS      compares a test suite's verdicts on epoll and on kqueue
#   load NAME ...           loads the program's server on epoll and on kqueue in turns, and compares
#   finish                  the counts, as the last line
#
# The environment:
#
#   PREFIX_DIR  an installation of ours: include/kqueue/sys/event.h, lib/libkqueue.so
#   ROUNDS      how often a server is loaded on each backend; default 7
#   SECONDS_A_ROUND  how long each time; default 2
#   FLOOR       a server fails whose throughput is below this share of epoll's in every single round, or whose
#               processor time a request is above epoll's by more than that in every one; default 0.80. GOAL (0.97) is
#               what the median should reach; it is printed beside it and fails nothing: on a machine that does
#               something else as well rounds differ by far more, and only what all of them say is the server's doing.

set -u -o pipefail

: "${PREFIX_DIR:?the installation of ours is not named}"
PREFIX_DIR=$(realpath -m "$PREFIX_DIR")
PROGRAMS=$(realpath -m "${PROGRAMS:-build/programs}")
ROUNDS=${ROUNDS:-7}
SECONDS_A_ROUND=${SECONDS_A_ROUND:-2}
FLOOR=${FLOOR:-0.80}
GOAL=${GOAL:-0.97}

. tests/debian-source.sh

# How a program of the epoll side and one of the kqueue side are built and run.
KQUEUE_CFLAGS="-I$PREFIX_DIR/include/kqueue"
KQUEUE_LDFLAGS="-L$PREFIX_DIR/lib -Wl,-rpath,$PREFIX_DIR/lib"
export LC_ALL=C.UTF-8

passed=0 failed=0 skipped=0

begin() {
    NAME=$1
    BUILD=$PROGRAMS/$NAME
    LOGS=$BUILD/log
    ROWS=$PROGRAMS/rows/$NAME
    STARTED=$(date +%s)
    mkdir -p "$BUILD" "$LOGS" "$PROGRAMS/rows"
    : > "$ROWS"
    # What was started here ends here; whoever ends us by a signal wants the same.
    trap 'stop_all' EXIT
    trap 'exit 143' TERM INT HUP
}

# The last line, and the end.
finish() {
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ]
    exit
}

die() {
    echo "$NAME: $*" >&2
    failed=$((failed + 1))
    finish
}

skip() {
    echo "$NAME: not run: $*"
    printf 'N\t%s\t%s\n' "$NAME" "$*" >> "$ROWS"
    skipped=$((skipped + 1))
    [ $passed = 0 ] || finish
    echo "0 passed, $failed failed, $skipped skipped"
    exit 0
}

needs() {
    local tool
    for tool; do
        command -v "$tool" >/dev/null || skip "no $tool"
    done
}

# needs_header HEADER PACKAGE
needs_header() {
    echo "#include <$1>" | cc -E - >/dev/null 2>&1 || skip "no $1 ($2)"
}

# ---- source and builds

fetch() {
    local package=$1 apt=$PROGRAMS/apt archive
    SOURCE=$PROGRAMS/source/$package
    VERSION=$(cat "$SOURCE/.unpacked" 2>/dev/null) && return
    needs apt-get apt-cache apt-config dpkg-source
    # The lists of sources are fetched anew once a day.
    if [ -z "$(find "$apt/apt.conf" -mtime -1 2>/dev/null)" ]; then
        rm -rf "$apt"
        mkdir -p "$apt"
        private_apt "$apt" > "$apt/apt.conf"
        # Another source on this machine may be out of order; what counts is whether the package can be had.
        (cd "$apt" && apt-get -q -c apt.conf update) > "$LOGS/update" 2>&1
    fi
    archive=$(download_source "$apt" "$package" 2> "$LOGS/fetch") ||
        skip "the source package cannot be fetched: $(grep -E -m 1 '[Ff]ailed to fetch|^E:' "$LOGS/fetch")"
    rm -rf "$SOURCE"
    mkdir -p "$PROGRAMS/source"
    case $archive in
    *.dsc) dpkg-source --no-check -x "$archive" "$SOURCE" ;;
    *) mkdir "$SOURCE" && tar -xf "$archive" -C "$SOURCE" --strip-components=1 ;;
    esac > "$LOGS/unpack" 2>&1 || skip "the source does not unpack, $LOGS/unpack"
    VERSION=$(basename "$archive" | sed -E "s/^${package}_//; s/\.(dsc|orig\.tar\..*)$//")
    echo "$VERSION" > "$SOURCE/.unpacked"
}

# tree BACKEND FUNCTION: built again when the source, the function, a C file of ours or our header is another.
tree() {
    local backend=$1 build=$2 dir=$BUILD/$1 key begin
    begin=$(date +%s)
    key="$VERSION $({ declare -f "$build"; cat "tests/programs/$NAME.c" 2>/dev/null; } | cksum)"
    case $backend in epoll*) ;; *) key+=" $(cksum < "$PREFIX_DIR/include/kqueue/sys/event.h") $PREFIX_DIR" ;; esac
    [ "$(cat "$dir/.built" 2>/dev/null)" = "$key" ] && return
    rm -rf "$dir"
    cp -a "$SOURCE" "$dir"
    # In the background, because "set -e" does nothing in a command whose failure is looked at.
    (set -e; cd "$dir"; export LD_LIBRARY_PATH="$PREFIX_DIR/lib"; "$build" "$backend") > "$LOGS/build-$backend" 2>&1 &
    wait $! || die "does not build on $backend: $(grep -E -m 1 'error:|undefined ref' "$LOGS/build-$backend" || tail -n 1 "$LOGS/build-$backend") ($LOGS/build-$backend)"
    echo "$key" > "$dir/.built"
    echo "$NAME $VERSION: built on $backend in $(($(date +%s) - begin)) s"
}

# A program that has both backends is built once, with "both" for its BACKEND. Its epoll side runs behind ALONE: with a
# library in the place of ours that has no kqueue, and stands before no function of libc.
ALONE="env LD_LIBRARY_PATH=$PROGRAMS/stub"

make_stub() {
    mkdir -p "$PROGRAMS/stub"
    echo '#include <errno.h>
        int kqueue(void) { errno = ENOSYS; return -1; }
        int kevent(void) { errno = ENOSYS; return -1; }' |
        cc -shared -fPIC -O2 -xc - -Wl,-soname,libkqueue.so.0 -o "$PROGRAMS/stub/libkqueue.so.0" || die "no stub can be built"
}

# assert_method WANTED WHAT_THE_PROGRAM_SAYS: a comparison in which kqueue is not in use would say nothing.
assert_method() {
    [ "$1" = "$2" ] || die "uses not $1 but: ${2:-nothing known}"
}

# ---- test suites

# theirs SUITE: reads "TEST reason" of tests that fail, or are not there, with kqueue for a reason that is not ours. A
# pattern of bash serves for TEST.
theirs() { cat >> "$LOGS/$1.theirs"; }

# suite NAME EPOLL_METHOD KQUEUE_METHOD [pass through 'begin_suite' first]: compares $LOGS/NAME.epoll and
# $LOGS/NAME.kqueue, lines "OK|FAIL|SKIP TEST", and counts. A test must have run on kqueue if it ran on epoll, and must
# pass there if it passes on epoll; what fails on both is skipped. So is what "theirs" names, with the reason printed;
# a name that passes after all is a failure, so that the list stays true.
suite() {
    local name=$1 counts
    touch "$LOGS/$name.theirs"
    awk -v program="$NAME" -v suite="$name" -v em="$2" -v km="$3" -v rows="$ROWS" '
        function list(title, names, n) { if (n) printf "  %s: %d\n%s", title, n, names }
        function reason(t,   p) { for (p in theirs) if (t == p || t ~ glob[p]) return theirs[p]; return "" }
        FILENAME ~ /\.theirs$/ {
            p = $1; $1 = ""; theirs[p] = $0; g = p
            gsub(/[.+(){}|^$\\]/, "\\\\&", g); gsub(/\*/, ".*", g); glob[p] = "^" g "$"; next
        }
        FILENAME ~ /\.epoll$/ { v = $1; sub(/^[A-Z]+ /, ""); if (!($0 in epoll)) order[++tests] = $0; epoll[$0] = v; next }
        { v = $1; sub(/^[A-Z]+ /, ""); if (!($0 in epoll) && !($0 in kqueue)) order[++tests] = $0; kqueue[$0] = v }
        END {
            for (i = 1; i <= tests; i++) {
                t = order[i]; e = epoll[t]; k = kqueue[t]; line = "    " t "\n"; why = reason(t)
                if (e == "OK" || e == "FAIL") eran++
                if (e == "OK") epassed++
                if (k == "OK" || k == "FAIL") kran++
                if (k == "OK") { kpassed++; passed++ }
                else if (k == "FAIL" && e == "FAIL") { skipped++; both++; both_names = both_names line }
                else if (k == "FAIL" && why != "") { skipped++; n_theirs++; their_names = their_names "    " t " (" substr(why, 2) ")\n" }
                else if (k == "FAIL") { failed++; ours++; our_names = our_names line }
                else if (e == "SKIP" || (e == "" && k == "SKIP")) skipped++
                else if (why != "") { skipped++; n_theirs++; their_names = their_names "    " t " (" substr(why, 2) ")\n" }
                else { failed++; missing++; missing_names = missing_names line }
            }
            list("fail on epoll as well, counted as skipped", both_names, both)
            list("not to be had with kqueue for a reason of their own, counted as skipped", their_names, n_theirs)
            list("NOT RUN on kqueue, and run on epoll", missing_names, missing)
            list("FAILED on kqueue, not on epoll", our_names, ours)
            if (!kran) { print "  NOTHING RAN on kqueue"; failed++ }
            printf "S\t%s\t%s\t%s\t%d\t%d\t%s\t%d\t%d\n", program, suite, em, eran, epassed, km, kran, kpassed >> rows
            printf "%s %s: %s ran %d, passed %d; %s ran %d, passed %d\n", program, suite, em, eran, epassed, km, kran, kpassed
            printf "%d %d %d\n", passed, failed, skipped > (rows ".counts")
        }' "$LOGS/$name.theirs" "$LOGS/$name.epoll" "$LOGS/$name.kqueue"
    read -r -a counts < "$ROWS.counts"
    rm -f "$ROWS.counts"
    passed=$((passed + counts[0])) failed=$((failed + counts[1])) skipped=$((skipped + counts[2]))
}

# ---- servers and load

STARTED_PIDS=()

# The load and the server have a processor each where there are two.
if [ "$(nproc)" -ge 2 ] && command -v taskset >/dev/null; then
    SERVER="taskset -c 0" CLIENT="taskset -c 1"
else
    SERVER='' CLIENT=''
fi

# start LOG COMMAND...: in the background, to be ended with us. Its pid is $PID.
start() {
    local log=$1
    shift
    "$@" > "$log" 2>&1 < /dev/null &
    PID=$!
    STARTED_PIDS+=("$PID")
}

stop_all() {
    local pid
    for pid in ${STARTED_PIDS[@]+"${STARTED_PIDS[@]}"}; do kill "$pid" 2>/dev/null; done
    for pid in ${STARTED_PIDS[@]+"${STARTED_PIDS[@]}"}; do wait "$pid" 2>/dev/null; done
    STARTED_PIDS=()
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# await PORT WHAT: until it listens there.
await() {
    local n
    for ((n = 0; n < 100; n++)); do
        (exec 3<> "/dev/tcp/127.0.0.1/$1") 2>/dev/null && return
        sleep 0.1
    done
    die "$2 does not listen on port $1"
}

# family PID: it and its descendants.
family() {
    local child
    echo "$1"
    for child in $(cat /proc/"$1"/task/*/children 2>/dev/null); do family "$child"; done
}

# cpu PID: nanoseconds of processor time of it and its descendants. The clock of another process has no name: it is
# made of its number (clock_getcpuclockid(3)).
cpu() {
    python3 -c 'import sys, time; print(sum(time.clock_gettime_ns((~int(pid) << 3) | 2) for pid in sys.argv[1:]))' \
        $(family "$1")
}

# load NAME EPOLL_PID KQUEUE_PID UNIT COMMAND: COMMAND BACKEND prints how many requests were served, and in how many
# seconds: "REQUESTS SECONDS". Both backends take turns, the first changes from round to round, one round warms up.
# Where the pids are "-", there is no server: the seconds are processor time already.
load() {
    local name=$1 epoll_pid=$2 kqueue_pid=$3 unit=$4 round backend pid before after served log=$LOGS/load-$1 order
    shift 4
    : > "$log"
    if [ "$epoll_pid" != - ]; then
        ! grep -q "$PREFIX_DIR/lib/libkqueue" "/proc/$epoll_pid/maps" || die "the epoll side of $name has our library"
        grep -q "$PREFIX_DIR/lib/libkqueue" "/proc/$kqueue_pid/maps" || die "the kqueue side of $name has not our library"
    fi
    for ((round = 0; round <= ROUNDS; round++)); do
        if ((round % 2)); then order="epoll kqueue"; else order="kqueue epoll"; fi
        for backend in $order; do
            if [ $backend = epoll ]; then pid=$epoll_pid; else pid=$kqueue_pid; fi
            before=0
            [ "$pid" = - ] || before=$(cpu "$pid")
            served=$("$@" $backend 2>> "$log.errors") && [ -n "$served" ] || {
                echo "  $name: no answer on $backend: $served ($log.errors)"
                failed=$((failed + 1))
                return
            }
            after=$(awk '{ printf "%.0f", $2 * 1e9 }' <<< "$served")
            [ "$pid" = - ] || after=$(cpu "$pid")
            [ "$round" = 0 ] || echo "$round $backend $served $((after - before))" >> "$log"
        done
    done
    if awk -v program="$NAME" -v name="$name" -v unit="$unit" -v floor="$FLOOR" -v goal="$GOAL" -v rows="$ROWS" '
        # The median of v[1..n].
        function median(v, n,   i, j, x) {
            for (i = 2; i <= n; i++) { x = v[i]; for (j = i - 1; j && v[j] > x; j--) v[j + 1] = v[j]; v[j + 1] = x }
            return n % 2 ? v[(n + 1) / 2] : (v[n / 2] + v[n / 2 + 1]) / 2
        }
        # A round in which nothing was served counts as one request.
        { served = $3 > 0 ? $3 : 1; rate[$2, $1] = served / $4; cpu[$2, $1] = $5 / served / 1000; n = $1 }
        END {
            for (i = 1; i <= n; i++) {
                e[i] = rate["epoll", i]; k[i] = rate["kqueue", i]; r[i] = k[i] / e[i]
                ec[i] = cpu["epoll", i]; kc[i] = cpu["kqueue", i]; c[i] = kc[i] / ec[i]
            }
            # median() has sorted them.
            ratio = median(r, n); low = r[1]; high = r[n]; cost = median(c, n)
            failed = high < floor || c[1] * floor > 1
            verdict = failed ? "FAILED" : ratio < goal ? "below the goal" : "ok"
            printf "L\t%s\t%s\t%s\t%.0f\t%.0f\t%.3f\t%.2f\t%.2f\t%.3f\t%s\n", program, name, unit, median(e, n), median(k, n),
                ratio, median(ec, n), median(kc, n), cost, verdict >> rows
            printf "%s %s: throughput %.3f of epoll (rounds from %.3f to %.3f), server time a %s %.3f of epoll (from %.3f to %.3f): %s\n",
                program, name, ratio, low, high, unit, cost, c[1], c[n], verdict
            exit failed
        }' "$log"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
    fi
}

# web PORT PATH CONNECTIONS: what wrk counted, for "load"; an error or an answer other than 2xx is none.
web() {
    local out
    out=$($CLIENT wrk -t1 -c"$3" -d"${SECONDS_A_ROUND}s" "http://127.0.0.1:$1$2" 2>&1)
    if grep -q -E 'Socket errors|Non-2xx|unable to' <<< "$out"; then
        echo "$out" >&2
        return 1
    fi
    # "123 requests in 2.00s, 1.23MB read"
    sed -n -E 's/^ *([0-9]+) requests in ([0-9.]+)s,.*/\1 \2/p' <<< "$out"
}

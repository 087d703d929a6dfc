#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# The library under ThreadSanitizer and AddressSanitizer (Rust nightly is needed, rust-src is not) and under valgrind.
# Run by "make check-sanitizers". A tool that is missing is printed as skipped; the last line is the sum.
#
#   tests/sanitizers.sh STAGE    an installation of ours: include/kqueue, lib/libkqueue.so
#   TARGET                       where the instrumented libraries are built; default target/sanitizers

cd "$(dirname "$0")/.." || exit 1
STAGE=$(realpath "${1:?usage: tests/sanitizers.sh STAGE}")
TARGET=${TARGET:-target/sanitizers}
BUILD=$PWD/build/sanitizers
mkdir -p "$BUILD"
results=$BUILD/results
: > "$results"
say() { printf '%s\n' "$*" | tee -a "$results"; }

# Quick to build: it is the order of accesses that matters.
PLAIN='--release --config profile.release.lto=false --config profile.release.codegen-units=16'
HOST=$(rustc +nightly -vV 2> /dev/null | sed -n 's/^host: //p')

# conformance NAME COMMAND...: a run of the C suite, and its sum.
conformance() {
    name=$1 log=$BUILD/$1.log
    shift
    "$@" > "$log" 2>&1
    grep -A 40 '^FAILED' "$log"
    say "$name: $(tail -n 1 "$log" | grep ' passed, ' || echo '0 passed, 1 failed, 0 skipped')"
}

# ---- ThreadSanitizer: the library and the cases instrumented, one runtime for both

# Our sigaction() must not be called while the runtime begins: no handlers of its own.
export TSAN_OPTIONS=handle_segv=0:handle_sigbus=0:handle_abort=0:handle_sigill=0:handle_sigfpe=0:exitcode=66
# The runtime keeps a mark for each number, no memory of the library's, and reports two uses of it in any order: that is
# what these are about (10.1, 10.2). In a child of fork() in a program with threads it does not work at all, and of a
# handler it reports that kevent() asks for memory (BUGS.md, "Signal handlers").
CLOSE='threads.close_while_in_use threads.no_event_after_close'
MARKS="$CLOSE found.close_range_closes_once stress.number_reused_by_an_epoll stress.waiter_left_by_siglongjmp
    stress.no_state_spins"
FORKS='process.fork_while_a_thread_waits process.fork_while_threads_are_inside process.fork_while_queues_are_born
    stress.children_of_contending_threads stress.other_ways_to_have_children stress.handlers_of_one_thread
    stress.handlers_of_two_threads'
# Its own memory grows with each thread.
MEMORY=stress.cancelled_waiters_leave_nothing

thread() {
    RUSTFLAGS='-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer' \
        cargo +nightly build --lib $PLAIN --target "$HOST" --target-dir "$TARGET/thread" $CARGOFLAGS || return 1
    library=$(realpath "$TARGET/thread/$HOST/release")
    ln -sf libkqueue.so "$library/libkqueue.so.0"
    runtime=$(rustc +nightly --print sysroot)/lib/rustlib/$HOST/lib/librustc-nightly_rt.tsan.a
    objects=$(for file in ctests/*.c; do echo "$BUILD/thread/$(basename "$file" .c).o"; done)
    make --no-print-directory -C ctests BUILD="$BUILD/thread" CFLAGS='-O1 -g -fsanitize=thread' \
        KQUEUE_CFLAGS="-I$STAGE/include/kqueue" KQUEUE_LIBS= $objects || return 1
    # Without -fsanitize=thread, which would bring the C compiler's runtime as well.
    cc -pthread -rdynamic -o "$BUILD/thread/conformance" $objects -L"$library" -lkqueue "-Wl,-rpath,$library" \
        -Wl,--whole-archive "$runtime" -Wl,--no-whole-archive -lm -ldl
}
# shellcheck disable=SC2086 # lists of words
if [ -z "$HOST" ] || ! command -v setarch > /dev/null; then
    say "skipped thread: no Rust nightly, or no setarch"
elif thread > "$BUILD/thread.build" 2>&1; then
    program=$BUILD/thread/conformance
    for case in $MARKS $FORKS $MEMORY; do echo "$case"; done > "$BUILD/thread/left_out"
    cases=$(setarch -R "$program" --list threads races process found stress | cut -d' ' -f1 | grep -vxFf "$BUILD/thread/left_out")
    conformance thread setarch -R "$program" -t 10 $cases
    # It sees what the library does: of these it has to report something.
    if setarch -R "$program" -t 10 $CLOSE 2>&1 | grep -q 'WARNING: ThreadSanitizer'; then say "ok      thread.sees_a_race"
    else say "FAILED  thread.sees_a_race: it reports nothing at all"; fi
else
    say "FAILED  thread: $(tail -n 3 "$BUILD/thread.build")"
fi

# ---- AddressSanitizer, with its leak detector: the Rust tests that run the library, every kqueue closed at the end of each

# shellcheck disable=SC2086
if [ -z "$HOST" ]; then
    say "skipped address: no Rust nightly"
elif RUSTFLAGS=-Zsanitizer=address MODEL_INNER=1 MODEL_SEQUENCES=${MODEL_SEQUENCES:-2000} cargo +nightly test --lib --test corpus \
    --test model $PLAIN --target "$HOST" --target-dir "$TARGET/address" $CARGOFLAGS > "$BUILD/address.log" 2>&1; then
    for test in $(sed -n 's/^test \(.*\) \.\.\. ok$/\1/p' "$BUILD/address.log"); do say "ok      address.$test"; done
    say "ok      address.random_sequences ($(grep ' sequences (seed ' "$BUILD/address.log"))"
else
    say "FAILED  address.random_sequences: $(tail -n 40 "$BUILD/address.log")"
fi

# ---- valgrind, which knows neither epoll_pwait2 nor pidfd_open: what stands in for them

if command -v valgrind > /dev/null; then
    make --no-print-directory -C ctests BUILD="$BUILD/plain" PREFIX_DIR="$STAGE" > "$BUILD/plain.build" 2>&1
    # Left out: what takes a seccomp filter or ptrace, or has an allocator of its own; threads and handlers in numbers, which
    # are one after the other there; processes, which some versions know by their number alone.
    suites=$("$BUILD/plain/conformance" --list | sed 's/\..*//' | sort -u |
        grep -vx -e absent -e faults -e refusals -e memory -e stress -e races -e threads -e process -e proc -e signal)
    # It writes to memory that is not there.
    cases="$suites $("$BUILD/plain/conformance" --list signal | cut -d' ' -f1 | grep -vx -e signal.eventlist_faults)"
    # Its own masks are in its own memory.
    cat > "$BUILD/suppressions" << 'END'
{
    signals are blocked by valgrind itself meanwhile
    Memcheck:Param
    ppoll(sigmask)
    fun:ppoll
}
END
    log=$BUILD/valgrind.log
    # shellcheck disable=SC2086
    valgrind -q --error-exitcode=9 --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
        --suppressions="$BUILD/suppressions" "$BUILD/plain/conformance" -j 2 -t 10 $cases > "$log" 2>&1
    grep -a -v 'WARNING: unhandled' "$log" | grep -a -B 40 -A 2 '^ *exit status 9'
    # What comes out differently because valgrind takes the signals, and time, for itself is no error of memory: 9 is.
    awk '
        /^FAILED / { name = $2; next }
        name != "" { if (/^ *exit status 9|^ *crash/) wrong++; else { other++; print "skipped valgrind." name ": it comes out differently there:" $0 }
                     name = "" }
        /^[0-9]+ passed, [0-9]+ failed/ { passed = $1; skipped = $5 }
        END { printf "valgrind: %d passed, %d failed, %d skipped\n", passed, wrong + (passed == 0), skipped + other }' "$log" > "$BUILD/valgrind.sum"
    grep '^skipped ' "$BUILD/valgrind.sum"
    say "$(tail -n 1 "$BUILD/valgrind.sum")"
else
    say "skipped valgrind: it is not installed"
fi

awk '/^ok /{ok++} /^FAILED /{bad++} /^skipped /{skip++}
    /^(thread|valgrind): /{ok += $2; bad += $4; skip += $6}
    END { printf "%d passed, %d failed, %d skipped\n", ok, bad, skip; exit bad != 0 }' "$results"

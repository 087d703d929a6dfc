#!/bin/sh
# What "make check" runs once the library is staged: the Rust tests, then the C conformance suite against the
# staged installation, then the ways to be loaded (tests/shapes/run.sh; FULL=full: all of that). The last line is the
# sum: N passed, M failed, K skipped.

CARGO=${CARGO:-cargo} MAKE=${MAKE:-make} STAGE=${STAGE:?the staged prefix}
logs=build/check
mkdir -p "$logs"

# run LOG COMMAND...: shows and keeps what the command says; its exit status lands in LOG.status.
run() {
    log=$logs/$1
    shift
    { "$@" 2>&1; echo $? > "$log.status"; } | tee "$log"
}

# The test binaries start make and cargo of their own.
unset MAKEFLAGS MFLAGS MAKELEVEL

# shellcheck disable=SC2086 # CARGOFLAGS is a list
KQUEUE_STAGE=$STAGE run rust "$CARGO" test --release --no-fail-fast $CARGOFLAGS
run c "$MAKE" --no-print-directory -C ctests check PREFIX_DIR="$STAGE"
# An older Linux, or a sandbox, has no process descriptors.
run nopidfd "$MAKE" --no-print-directory -C ctests check PREFIX_DIR="$STAGE" ARGS='-b linux-nopidfd -w pidfd proc'
run shapes tests/shapes/run.sh "$STAGE" ${FULL:-}

awk -v rust="$(cat $logs/rust.status)" -v c="$(cat $logs/c.status)" -v shapes="$(cat $logs/shapes.status)" \
    -v nopidfd="$(cat $logs/nopidfd.status)" '
    # cargo: "test result: ok. 5 passed; 0 failed; 0 ignored; ..." for every binary
    FILENAME ~ /rust$/ && /^test result: / { passed += $4; rust_failed += $6; skipped += $8 }
    # ctests: its last line
    FILENAME ~ /nopidfd$/ && /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ {
        n_passed = $1; n_failed = $3; n_skipped = $5
    }
    FILENAME ~ /c$/ && /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ { c_passed = $1; c_failed = $3; c_skipped = $5 }
    FILENAME ~ /shapes$/ && /^[0-9]+ passed, [0-9]+ failed, [0-9]+ skipped$/ {
        s_passed = $1; s_failed = $3; s_skipped = $5
    }
    END {
        # A run that broke off has failed, whatever it counted.
        if (rust != 0 && rust_failed == 0) rust_failed = 1
        if (c != 0 && c_failed == 0) c_failed = 1
        if (shapes != 0 && s_failed == 0) s_failed = 1
        if (nopidfd != 0 && n_failed == 0) n_failed = 1
        failed = rust_failed + c_failed + n_failed + s_failed
        printf "\nRust:   %d passed, %d failed, %d skipped\n", passed, rust_failed, skipped
        printf "C:      %d passed, %d failed, %d skipped\n", c_passed, c_failed, c_skipped
        printf "C, without pidfds: %d passed, %d failed, %d skipped\n", n_passed, n_failed, n_skipped
        printf "Shapes: %d passed, %d failed, %d skipped\n", s_passed, s_failed, s_skipped
        printf "%d passed, %d failed, %d skipped\n", \
            passed + c_passed + n_passed + s_passed, failed, skipped + c_skipped + n_skipped + s_skipped
        exit failed != 0
    }' "$logs/rust" "$logs/c" "$logs/nopidfd" "$logs/shapes"

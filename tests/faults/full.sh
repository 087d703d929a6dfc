#!/bin/sh
# What "make check-full" runs of the C suite: every system call of every operation with every errno of the tables, also
# where nobody tells the library of a close; the full numbers of the suite "stress"; all of it without the newer system
# calls; and the comparison of the table with what strace sees.

STAGE=${1:?the staged prefix}
here=$(dirname "$0")
suite=build/ctests/conformance
status=0

${MAKE:-make} --no-print-directory -C ctests PREFIX_DIR="$STAGE" || exit 1
CTESTS_EVERYTHING=1 "$suite" faults refusals memory stress || status=1
# An older Linux.
"$suite" -w new || status=1
CTESTS_EVERYTHING=1 KQUEUE_VERIFY=1 "$suite" -b linux-behind faults || status=1
"$here/seen.sh" "$suite" || status=1
exit $status

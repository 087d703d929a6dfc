#!/bin/sh
# Is every system call that the library makes in the table ctests/faults.h? Runs the conformance suite under strace
# with the stack of each call (-k): those are the library's whose innermost frame outside libc is in libkqueue.so.
#
#   tests/faults/seen.sh CONFORMANCE [FILTER...]    the built suite, and what of it to run (everything)
#
# A call that is seen and not in the table is printed, and fails. What the constructor does before main(), close() of
# the runner and the calls that cannot fail for the stack's sake are not traced.

suite=${1:?the conformance suite}
shift
PATIENCE=60
table=$(dirname "$0")/../../ctests/faults.h
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT

command -v strace > /dev/null || { echo "seen.sh: no strace"; exit 0; }

# The cases of these put a filter on their own calls, and use ptrace's stop for it.
cases=${*:-$("$suite" --list | sed -n 's/^\([a-z_]*\)\..*/\1/p' | sort -u | grep -v -e faults -e refusals -e memory)}
for case in $cases; do
    # Slow: what fails by that alone, or is not through in its time, is not the matter here: the calls of a suite are the
    # same ones over and over. Some versions of strace crash now and then with -k.
    for try in 1 2 3; do
        timeout -k 5 "$PATIENCE" strace -f -k -qq -e signal=none -e trace='!close,clock_gettime,futex,exit_group,exit,restart_syscall,rt_sigreturn,execve' \
            -o "$work/trace" "$suite" -j 2 -t 5 "$case" > "$work/output" 2>&1
        [ $? = 124 ] && echo "cut off after $PATIENCE s" >> "$work/output" && break
        grep -q '^[0-9]* passed' "$work/output" && break
    done
    awk '
        /^[0-9]+ +[a-z0-9_]+\(/ { name = $2; sub(/\(.*/, "", name); inner = 0; next }
        /^[0-9]+ +<\.\.\. / { name = $3; inner = 0; next }
        /^ > / && !inner && !/\/(libc|libpthread|ld-[^\/]*|ld)[.-][^\/]*\(/ {
            inner = 1
            if (/libkqueue\.so/ && name != "") seen[name]++
        }
        END { for (name in seen) print name, seen[name] }' "$work/trace" >> "$work/seen"
    echo "$case: $(tail -n 1 "$work/output")"
done

sed -n 's/^FAULT(\([a-z0-9_]*\),.*/\1/p' "$table" | sort -u > "$work/table"
awk '{ count[$1] += $2 } END { for (name in count) print name, count[name] }' "$work/seen" | sort > "$work/counts"
echo "seen:" $(cut -d' ' -f1 "$work/counts")
cut -d' ' -f1 "$work/counts" | sort -u | comm -23 - "$work/table" > "$work/unknown"
if [ -s "$work/unknown" ]; then
    echo "not in ctests/faults.h:" $(cat "$work/unknown")
    exit 1
fi

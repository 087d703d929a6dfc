#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Does what doc/*.md tell: a fenced block of a language and a file name ("c daemon.c") is that file, a block "sh" is run,
# and a block "text" is what the commands before it print. Run by "make check-consumers", with libkqueue to be found by
# pkg-config and by the loader.
#
#   tests/pages.sh DIRECTORY    what is made of each page is left there

set -u
cd "$(dirname "$0")/.." || exit 1
work=$(realpath -m "${1:?usage: tests/pages.sh DIRECTORY}")
passed=0 failed=0

for page in doc/*.md; do
    directory=$work/$(basename "$page" .md)
    mkdir -p "$directory"
    # The files, and all.sh: the commands in their order, each block with what it has to print.
    awk -v directory="$directory" '
        /^```/ && inside { inside = 0; close(file); next }
        /^```sh$/ { inside = 1; file = sprintf("%s/step%02d.sh", directory, ++steps); print "set -e" > file; next }
        /^```text$/ { inside = 1; file = sprintf("%s/step%02d.expected", directory, steps); printf "" > file; next }
        /^```/ {
            inside = 1
            if (split($0, words, " ") != 2) { print FILENAME ":" FNR ": a block that is neither run nor a file" > "/dev/stderr"; exit 1 }
            file = directory "/" words[2]; printf "" > file; next
        }
        inside { print > file }
    ' "$page" || failed=$((failed + 1))
    for step in "$directory"/step*.sh; do
        name="$page, $(sed -n 2p "$step")"
        if (cd "$directory" && timeout 60 sh "$step" > "${step%.sh}.out" 2> "${step%.sh}.err" < /dev/null) \
            && diff "${step%.sh}.expected" "${step%.sh}.out" > "${step%.sh}.diff"; then
            echo "ok      $name"
            passed=$((passed + 1))
        else
            echo "FAILED  $name"
            cat "${step%.sh}.err" "${step%.sh}.diff" | sed 's/^/        /'
            failed=$((failed + 1))
        fi
    done
done
echo "$passed passed, $failed failed, 0 skipped"
[ $failed -eq 0 ] && [ $passed -gt 0 ]

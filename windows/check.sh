#!/bin/sh
# The C conformance suite and the demo on Windows' backend, under Wine: what "make check-windows" runs.
#
#   windows/check.sh PREFIX [ARGUMENTS OF THE SUITE]
#
# PREFIX is what windows/build.sh has laid out. The suites that are built are those below; every case of theirs that
# Windows, or Wine, cannot have is in ctests/declared.h with the reason. The last line is the suite's sum.

set -eu
cd "$(dirname "$0")/.."
prefix=$1
shift
mingw=x86_64-w64-mingw32
out=build/windows/ctests
demo=build/windows/demo
suites="errors flags independence kevent library pair read read_eof read_files read_pipes threads timeout timer
    timer_absolute timer_changes user write write_eof"

# The headers that Windows lacks: what they would declare is in ctests/windows/unix.h. (What a case would do with what it
# lacks is not used.)
mkdir -p "$out" "$demo"
for header in sys/ioctl.h sys/socket.h sys/un.h sys/resource.h sys/wait.h sys/mman.h netinet/in.h netinet/tcp.h \
    arpa/inet.h poll.h; do
    mkdir -p "$out/include/$(dirname $header)"
    : >"$out/include/$header"
done
objects=
for source in suite $suites windows/unix; do
    object=$out/$(basename $source).o
    objects="$objects $object"
    $mingw-gcc -std=gnu11 -O1 -g -D_FILE_OFFSET_BITS=64 -D_GNU_SOURCE -D__USE_MINGW_ANSI_STDIO=1 \
        -D_WIN32_WINNT=0x0A00 -Wall -Wextra -Werror -Wno-format \
        -Wno-unused -Wno-unused-parameter -include ctests/windows/unix.h -I"$out/include" \
        -I"$prefix/include/kqueue" -c -o "$object" ctests/$source.c
done
# shellcheck disable=SC2086 # a list
$mingw-gcc -static -o "$out/conformance.exe" $objects "$prefix/lib/libkqueue.dll.a" -lws2_32 -lpthread
cp "$prefix"/bin/*.dll "$out/"
cp "$prefix"/bin/*.dll "$demo/"

# One program for each C runtime, one that asks for kqueue.dll, one with the archive in it.
$mingw-gcc -dumpspecs | sed 's/-lmsvcrt/-lucrt/' >"$demo/ucrt.specs"
build_echo() {
    name=$1
    shift
    $mingw-gcc -std=gnu99 -Wall -Wextra -Werror -O2 -I"$prefix/include/kqueue" -o "$demo/$name.exe" \
        demo/echo-windows.c "$@"
}
build_echo echo-msvcrt "$prefix/lib/libkqueue.dll.a" -lws2_32
build_echo echo-ucrt -specs="$demo/ucrt.specs" -D_UCRT "$prefix/lib/libkqueue.dll.a" -lws2_32
build_echo echo-kqueue "$prefix/lib/kqueue.lib" -lws2_32
build_echo echo-static -static "$prefix/lib/libkqueue.a" -lws2_32 -lntdll -luserenv

# Wine's system calls are messages to a server: all takes longer.
# shellcheck disable=SC2016 # for the inner shell
exec windows/wine.sh sh -c '
    demo=$1 out=$2
    shift 2
    for program in echo-msvcrt echo-ucrt echo-kqueue echo-static; do
        printf "%s: " $program
        timeout 120 "$WINE" "$demo/$program.exe" 200 || exit 1
    done
    timeout -k 10 ${LIMIT:-1500} "$WINE" "$out/conformance.exe" -b windows -t 2 "$@"' sh "$demo" "$out" "$@"

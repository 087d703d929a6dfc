#!/bin/sh
# What "make check-solaris" runs on the staged installation of the backend on event ports, over their emulation: the parts
# of the C conformance suite that this backend does by itself. ARGS are passed on to the suite, in place of these.
#
# Not run here: proc, procdesc, signal and vnode (as on any Unix so far: make check-posix); process, library_fork (a port
# does not work in a child, here); faults, refusals, memory, helpers, trace, stress, sequence: they count, break or name
# single system calls, descriptors and threads of Linux, which here are the emulation's, or are not looked into yet.

stage=${1:?the staged prefix} emulation=${2:?the folder of the emulation}
cd "$(dirname "$0")/.." || exit 1
suites='cancel close descriptor errors flags found independence interrupted kevent library pair races read read_eof
    read_growth read_kernel read_pipes stale threads timeout timer timer_absolute timer_changes user write write_eof'

# The emulation has to be found before libc, and after the library.
libs="-L$stage/lib -lkqueue -Wl,--no-as-needed -L$emulation -leventports -Wl,-rpath,$stage/lib -Wl,-rpath,$emulation"
# shellcheck disable=SC2086 # a list
"${MAKE:-make}" --no-print-directory -C ctests check BUILD=../build/ctests-solaris \
    KQUEUE_CFLAGS="-I$stage/include/kqueue" KQUEUE_LIBS="$libs" ARGS="-b solaris ${ARGS:-$(echo $suites)}"

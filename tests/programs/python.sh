#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# CPython: its select module compiled with kqueue as an extension of the system's python3, and the tests of its version
# that use it. The method is told by the library: selectors.DefaultSelector, which asyncio takes, is KqueueSelector
# wherever select.kqueue is there and works.
#
# Python itself knows nothing of the library, which comes with the extension: libc's close() comes before ours. A second
# run, of the modules that are most about it, has the library preloaded.

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh

PYTHON=/usr/bin/python3
begin python
needs $PYTHON cc timeout
version=$($PYTHON -c 'import sys; print("%d.%d" % sys.version_info[:2])')
fetch "python$version"
[ -e "/usr/include/python$version/internal/pycore_fileutils.h" ] || skip "no internal headers of python$version (python$version-dev)"
MODULES="test_kqueue test_selectors test_select test_poll test_epoll test_socketserver test_asyncore
    $(cd "$SOURCE/Lib/test" && printf 'test_asyncio.%s\n' $(ls test_asyncio/test_*.py | sed 's|.*/||; s|\.py$||'))"

PRELOADED="test_kqueue test_selectors test_asyncio.test_events test_asyncio.test_unix_events test_asyncio.test_subprocess"

# Every process that has this folder in PYTHONPATH gets the tests, and those of kqueue our select module as well. (The
# system's is part of the program, so that a file alone would not be found.)
build() {
    mkdir -p build/modules build/tests
    ln -sfn "$PWD/Lib/test" build/tests/test
    cc -shared -fPIC -O2 -g -DHAVE_KQUEUE -DHAVE_SYS_EVENT_H -I/usr/include/python"$version" -I/usr/include/python"$version/internal" -IModules $KQUEUE_CFLAGS \
        -o build/modules/select.so Modules/selectmodule.c $KQUEUE_LDFLAGS -lkqueue
    cat > build/modules/sitecustomize.py <<'PYTHON'
import importlib.util
import os
import sys


class Select:
    """Finds our select module before the one that is built in."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "select":
            return importlib.util.spec_from_file_location(name, os.path.join(os.path.dirname(__file__), "select.so"))


sys.meta_path.insert(0, Select)
sys.modules.pop("select", None)
PYTHON
}
tree kqueue build
TREE=$BUILD/kqueue

# python SIDE ARGUMENT...
python() {
    local side=$1 path=$TREE/build/tests preload=
    shift
    case $side in kqueue*) path=$TREE/build/modules:$path ;; esac
    case $side in *preloaded) preload=$PREFIX_DIR/lib/libkqueue.so.0 ;; esac
    PYTHONPATH=$path LD_PRELOAD=$preload PYTHONFAULTHANDLER=1 PYTHONDONTWRITEBYTECODE=1 "$PYTHON" "$@"
}

method() {
    python "$1" -c 'import selectors, asyncio; print(selectors.DefaultSelector.__name__, type(asyncio.new_event_loop()._selector).__name__)' 2>&1
}

# module SIDE MODULE: lands in $LOGS/SIDE-MODULE. A test that took the process with it has failed.
module() {
    local side=$1 module=$2 log=$LOGS/$1-$2 dir
    # In a directory of its own: the tests make files of the same names.
    dir=$(mktemp -d "$BUILD/run.XXXXXX")
    (cd "$dir" && python "$side" -c '
import os, sys
os.execvp("timeout", ["timeout", "-k", "5", "600", sys.executable] + sys.argv[1:])' \
        "$OLDPWD/tests/programs/python_verdicts.py" "$log" "test.$module") > "$log.out" 2>&1 < /dev/null
    rm -rf "$dir"
    touch "$log"
}

# verdicts SIDE MODULE...: what began and has no verdict has failed.
verdicts() {
    local side=$1 module
    shift
    for module; do cat "$LOGS/$side-$module"; done |
        awk '{ v = $1; sub(/^[A-Z]+ /, ""); if (!($0 in verdict)) order[++n] = $0; verdict[$0] = v }
            END { for (i = 1; i <= n; i++) print verdict[order[i]] == "RUN" ? "FAIL" : verdict[order[i]], order[i] }'
}

assert_method "EpollSelector EpollSelector" "$(method epoll)"
assert_method "KqueueSelector KqueueSelector" "$(method kqueue)"
assert_method "KqueueSelector KqueueSelector" "$(method kqueue_preloaded)"
echo "python $($PYTHON -c 'import platform; print(platform.python_version())'), tests of $VERSION"

# They sleep most of the time.
{
    for side in epoll kqueue; do printf "$side %s\n" $MODULES; done
    printf 'kqueue_preloaded %s\n' $PRELOADED
} | {
    running=0
    while read -r side module; do
        module "$side" "$module" &
        [ $((running += 1)) -lt $((2 * $(nproc))) ] || { wait -n; running=$((running - 1)); }
    done
    wait
}

# again SIDE EPOLL: passes verdicts through; what failed, and not on epoll, is run alone, up to three times.
again() {
    local side=$1 epoll=$2 verdict test n
    while read -r verdict test; do
        for ((n = 0; n < 3; n++)); do
            [ "$verdict" = FAIL ] && grep -q -x "OK $test\|SKIP $test" "$epoll" || break
            module "$side" "${test#test.}"
            verdict=$(verdicts "$side" "${test#test.}" | cut -d' ' -f1)
        done
        echo "$verdict $test"
    done
}

verdicts epoll $MODULES > "$LOGS/extension.epoll"
verdicts kqueue $MODULES | again kqueue "$LOGS/extension.epoll" > "$LOGS/extension.kqueue"
suite extension epoll kqueue
verdicts epoll $PRELOADED > "$LOGS/preloaded.epoll"
verdicts kqueue_preloaded $PRELOADED | again kqueue_preloaded "$LOGS/preloaded.epoll" > "$LOGS/preloaded.kqueue"
suite preloaded epoll kqueue
finish

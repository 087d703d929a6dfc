#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-2-Clause
#
# fswatch, which watches a tree by EVFILT_VNODE (its kqueue_monitor) or by inotify. It has no test suite; what it prints
# of changes to a tree is what is looked at. It is compiled without its configure, which wants half of the autotools.

cd "$(dirname "$0")/../.." || exit 1
. tests/programs/common.sh

begin fswatch
needs c++ make timeout
fetch fswatch

build() {
    local lib=libfswatch/src file sources
    sed 's/^#undef.*//' libfswatch_config.h.in > libfswatch_config.h
    for file in HAVE_SYS_EVENT_H HAVE_SYS_INOTIFY_H HAVE_DECL_INOTIFY_INIT HAVE_DECL_INOTIFY_ADD_WATCH HAVE_DECL_INOTIFY_RM_WATCH \
        HAVE_DECL_KQUEUE HAVE_DECL_KEVENT HAVE_CXX11 HAVE_CXX_MUTEX HAVE_CXX_ATOMIC HAVE_CXX_THREAD_LOCAL HAVE_CXX_UNIQUE_PTR \
        HAVE_UNORDERED_MAP HAVE_UNORDERED_SET HAVE_GETOPT_H HAVE_GETOPT_LONG HAVE_CSTDLIB HAVE_REALPATH HAVE_UNISTD_H \
        HAVE_STRUCT_STAT_ST_MTIME HAVE_INTTYPES_H HAVE_STDLIB_H HAVE_STRING_H HAVE_ATEXIT HAVE_SELECT HAVE_MODF; do
        echo "#define $file 1"
    done >> libfswatch_config.h
    printf '#define PACKAGE "fswatch"\n#define PACKAGE_NAME "fswatch"\n#define PACKAGE_URL ""\n#define PACKAGE_VERSION ""\n#define PACKAGE_STRING "fswatch"\n#define PACKAGE_BUGREPORT ""\n#define VERSION ""\n' >> libfswatch_config.h
    sources="$(ls $lib/libfswatch/c/*.cpp $lib/libfswatch/c++/*.cpp $lib/libfswatch/c++/string/*.cpp fswatch/src/fswatch.cpp |
        grep -v -E '/(fen|fsevents|windows)_monitor|windows/')"
    printf 'program: %s\n\tc++ -o $@ $^ %s\n%%.o: %%.cpp\n\tc++ -std=c++11 -O1 -w -I. -I%s -I%s/libfswatch %s -DHAVE_CONFIG_H -c -o $@ $<\n' \
        "$(echo $sources | sed 's/\.cpp/.o/g')" "$KQUEUE_LDFLAGS -lkqueue -lpthread" $lib $lib "$KQUEUE_CFLAGS" > Makefile.ours
    make -f Makefile.ours -j2
}
tree both build

# seen LINES PATTERN...: waits until each pattern matches a line.
seen() {
    local lines=$1 n pattern
    shift
    for pattern; do
        for ((n = 0; n < 300; n++)); do
            grep -q -E "$pattern" "$lines" && continue 2
            sleep 0.1
        done
        return 1
    done
}

# tests METHOD: "OK|FAIL NAME"; each waits for what fswatch prints of it. For the first, until fswatch watches at all.
tests() {
    local method=$1 dir=$BUILD/tree-$1 lines=$LOGS/lines-$1
    tell() { if "${@:2}"; then echo "OK $1"; else echo "FAIL $1"; fi; }
    rm -rf "$dir"
    mkdir -p "$dir/sub"
    echo text | tee "$dir/file" "$dir/moved" "$dir/gone" "$dir/mode" "$dir/sub/inner" > "$dir/linked"
    start "$lines" "$BUILD/both/program" -m "${method}_monitor" -l 0.1 -x -r "$dir"
    watches() {
        local n
        for ((n = 0; n < 300; n++)); do
            echo more >> "$dir/file"
            grep -q "^$dir/file .*Updated" "$lines" && return
            sleep 0.1
        done
        return 1
    }
    tell write watches
    chmod 600 "$dir/mode"
    tell attributes seen "$lines" "^$dir/mode .*AttributeModified"
    echo more >> "$dir/sub/inner"
    tell write_below seen "$lines" "^$dir/sub/inner .*Updated"
    rm "$dir/gone"
    tell remove seen "$lines" "^$dir/gone .*Removed"
    echo new > "$dir/new"
    tell create seen "$lines" "^($dir .*Updated|$dir/new .*Created)"
    made_is_watched() {
        local n
        for ((n = 0; n < 300; n++)); do
            echo more >> "$dir/new"
            grep -q "^$dir/new .*Updated" "$lines" && return
            sleep 0.1
        done
        return 1
    }
    tell created_is_watched made_is_watched
    mv "$dir/moved" "$dir/sub/moved"
    tell rename seen "$lines" "^$dir/moved .*(Renamed|MovedFrom)"
    mkdir "$dir/sub/deeper"
    tell directory seen "$lines" "^($dir/sub .*(Link|Updated)|$dir/sub/deeper .*Created)"
    rm -r "$dir/sub"
    tell remove_tree seen "$lines" "^$dir/sub/inner .*Removed" "^$dir/sub .*Removed"
    stop_all
}
tests inotify > "$LOGS/tree.epoll"
tests kqueue > "$LOGS/tree.kqueue"
suite tree inotify kqueue
finish

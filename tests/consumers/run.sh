#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# Small projects that find, build and run the library as a user's build system does. Run by "make check-consumers".
#
#   tests/consumers/run.sh [PREFIX_DIR]    PREFIX_DIR is an installation of ours
#
# A tool that is not there skips its cases; with CI set that is a failure. The last line counts.

set -u
cd "$(dirname "$0")" || exit 1
PREFIX_DIR=$(realpath -m "${1:-${PREFIX_DIR:?usage: tests/consumers/run.sh PREFIX_DIR}}")
build=$(realpath -m ../../build/consumers)
rm -rf "$build"
mkdir -p "$build"

# Found only where we say: not what the machine has installed.
export PKG_CONFIG_LIBDIR="$PREFIX_DIR/lib/pkgconfig" LD_LIBRARY_PATH="$PREFIX_DIR/lib" LC_ALL=C
unset PKG_CONFIG_PATH CFLAGS CXXFLAGS LDFLAGS CPPFLAGS MAKEFLAGS MFLAGS MAKELEVEL DESTDIR
# Flags by hand, as a user gives them to configure.
INCLUDE="-I$PREFIX_DIR/include/kqueue" LIBRARY="-L$PREFIX_DIR/lib"

passed=0 failed=0 skipped=0

# need TOOL...: true if all are there.
need() {
    for tool in "$@"; do
        command -v "$tool" >/dev/null || { missing=$tool && return 1; }
    done
}

# consumer NAME TOOLS FUNCTION [ARGUMENT...]: FUNCTION builds in the current directory and leaves the program
# "consumer" there, which is then run.
consumer() {
    name=$1 tools=$2
    shift 2
    # shellcheck disable=SC2086 # a list
    if ! need $tools; then
        if [ -n "${CI:-}" ]; then
            echo "FAILED  $name: $missing is not installed"
            failed=$((failed + 1))
        else
            echo "skipped $name: $missing is not installed"
            skipped=$((skipped + 1))
        fi
        return
    fi
    directory=$build/$(echo "$name" | tr -c 'a-z0-9\n' '-')
    mkdir -p "$directory"
    if said=$(cd "$directory" && { "$@" >log 2>&1 && ./consumer 2>>log; }) && [ "$said" = "kqueue works" ]; then
        echo "ok      $name"
        passed=$((passed + 1))
    else
        echo "FAILED  $name"
        tail -n 30 "$directory/log" | sed 's/^/        /'
        failed=$((failed + 1))
    fi
}

here=$PWD
program=$here/program.c

# ---- Build systems ----------------------------------------------------------------------------------

autotools() { # ARGUMENTS of configure
    cp "$here"/autotools/* "$program" . && autoreconf -i && ./configure "$@" && make
}
with_cmake() { # HOW
    cmake -DHOW="$1" -DPROGRAM="$program" -DKQUEUE_ROOT_DIR="$PREFIX_DIR" -DCMAKE_PREFIX_PATH="$PREFIX_DIR" "$here/cmake" \
        && cmake --build .
}
with_meson() { # STATIC
    mkdir -p source && cp "$here"/meson/* "$program" source && meson setup -Dstatic="$1" built source \
        && meson compile -C built && cp built/consumer .
}
with_make() {
    cp "$here/make/Makefile" "$program" . && make
}
with_make_by_hand() {
    # shellcheck disable=SC2016 # make expands these
    printf 'LDLIBS = -lkqueue\nconsumer: program.o\n\t$(CC) $(LDFLAGS) -o $@ program.o $(LDLIBS)\n' > Makefile
    cp "$program" . && make CFLAGS="$INCLUDE" LDFLAGS="$LIBRARY"
}

consumer "autotools, pkg-config" "autoreconf pkg-config make cc" autotools
consumer "autotools, by hand" "autoreconf make cc" autotools --without-pkg-config CPPFLAGS="$INCLUDE" LDFLAGS="$LIBRARY"
consumer "cmake, pkg-config" "cmake pkg-config cc" with_cmake pkgconfig
consumer "cmake, find_package" "cmake cc" with_cmake package
consumer "cmake, find_package, static" "cmake cc" with_cmake static
consumer "cmake, find_path and find_library" "cmake cc" with_cmake find
consumer "meson" "meson ninja pkg-config cc" with_meson false
consumer "meson, static" "meson ninja pkg-config cc" with_meson true
consumer "make" "make pkg-config cc" with_make
# A Makefile that knows of nothing but -lkqueue: CFLAGS and LDFLAGS are the user's.
consumer "make, by hand" "make cc" with_make_by_hand

# ---- Compilers and languages ------------------------------------------------------------------------

# compile COMPILER FLAGS...: with what pkg-config says, shared.
compile() {
    # shellcheck disable=SC2046 # lists
    "$@" -o consumer $(pkg-config --cflags libkqueue) "$source" $(pkg-config --libs libkqueue)
}
# The same, fully static.
compile_static() {
    # shellcheck disable=SC2046
    "$@" -static -o consumer $(pkg-config --cflags libkqueue) "$source" $(pkg-config --static --libs libkqueue)
}
# Only the library from the archive, by its name.
compile_archive() {
    # shellcheck disable=SC2046
    "$@" -o consumer $(pkg-config --cflags libkqueue) "$source" "$PREFIX_DIR/lib/libkqueue.a" -lpthread -ldl -lgcc_s
}

strict='-Wall -Wextra -Werror -pedantic'
for compiler in gcc clang; do
    for standard in c89 c99 c11 gnu17; do
        source=$program
        # C89 has no comments of the kind that a header could have.
        # shellcheck disable=SC2086
        consumer "$compiler -std=$standard" $compiler compile $compiler -std=$standard $strict
    done
done
cp "$program" "$build/program.cc"
for compiler in g++ clang++; do
    for standard in c++98 c++11 c++20; do
        source=$build/program.cc
        # shellcheck disable=SC2086
        consumer "$compiler -std=$standard" $compiler compile $compiler -std=$standard $strict
    done
done
source=$program
for compiler in gcc clang; do
    consumer "$compiler, -static" "$compiler pkg-config" compile_static $compiler
    consumer "$compiler, the archive" "$compiler pkg-config" compile_archive $compiler
done

# ---- Programs that were not built for us ------------------------------------------------------------

# Built with the C library's header, linked with a library of its name; ours comes in its place.
of_the_c_library() {
    mkdir -p sys && cp "$here/c-library.h" sys/event.h
    echo 'int kqueue(void) { return -1; } int kevent(void) { return -1; } void libkqueue_drain_pending_close(void) {}' > stub.c
    sed 's/    puts(/    libkqueue_drain_pending_close();\n    puts(/' "$program" > program.c
    cc -shared -fPIC -Wl,-soname,libkqueue.so.0 -o libkqueue.so stub.c && ln -sf libkqueue.so libkqueue.so.0 &&
        cc -Wall -Wextra -Werror -I. -o consumer program.c -L. -lkqueue && ! LD_LIBRARY_PATH=. ./consumer
}
consumer "a program of the C library" "cc" of_the_c_library

# Linked with no libkqueue: it asks at run time whether there is one.
looks_it_up() {
    sed 's/int main(void)/int main(void) __attribute__((unused));\n#pragma weak kqueue\n#pragma weak kevent\nint main(void)/
        s/    struct kevent kev;/    struct kevent kev;\n    if (!kqueue || !kevent) return 3;/
        s/int kq = kqueue(), n;/int kq = kqueue ? kqueue() : -1, n;/' "$program" > weak.c
    # shellcheck disable=SC2046
    cc -o weak -Wno-address $(pkg-config --cflags libkqueue) weak.c && { ./weak; [ $? = 3 ]; } &&
        printf '#!/bin/sh\nLD_PRELOAD=%s exec ./weak\n' "$PREFIX_DIR/lib/libkqueue.so" > consumer && chmod +x consumer
}
consumer "weak symbols, LD_PRELOAD" "cc pkg-config" looks_it_up

# ---- Another Rust archive beside ours ---------------------------------------------------------------

beside_rust() { # ORDER
    cat > other.rs <<'RUST'
#[no_mangle]
pub extern "C" fn other() -> i32 {
    let text: Vec<String> = (0..3).map(|number| number.to_string()).collect();
    std::thread::spawn(move || text.join("").len() as i32).join().unwrap_or(0)
}
RUST
    sed 's/int main(void)/int other(void);\nint main(void)/; s/int kq = kqueue(), n;/int kq = kqueue(), n;\n    if (other() != 3) return 1;/' \
        "$program" > both.c
    rustc -O --crate-type=staticlib -o libother.a other.rs
    case $1 in
    first) archives="libother.a $PREFIX_DIR/lib/libkqueue.a" ;;
    *) archives="$PREFIX_DIR/lib/libkqueue.a libother.a" ;;
    esac
    # shellcheck disable=SC2046,SC2086
    cc -o consumer $(pkg-config --cflags libkqueue) both.c $archives -lpthread -ldl -lgcc_s -lm
}
consumer "beside a Rust archive that comes first" "rustc cc" beside_rust first
consumer "beside a Rust archive that comes last" "rustc cc" beside_rust last

# ---- The pages of doc/ ------------------------------------------------------------------------------

if need cc c++ pkg-config; then
    "$here/../pages.sh" "$build/pages" > "$build/pages.log"
    sed '$d' "$build/pages.log"
    read -r ok _ not_ok _ <<COUNTS
$(tail -n 1 "$build/pages.log")
COUNTS
    passed=$((passed + ok)) failed=$((failed + not_ok))
fi

echo "$passed passed, $failed failed, $skipped skipped"
[ $failed -eq 0 ]

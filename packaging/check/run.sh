#!/bin/bash
# SPDX-License-Identifier: BSD-2-Clause
#
# Builds, installs, uses and removes what packaging/ and debian/ make of the release archive, each by the tool it is for
# where there is one. Run by "make check-packages" after "make dist".
#
#   packaging/check/run.sh ARCHIVE [KIND...]    deb rpm arch alpine vcpkg meson cargo-c: a file beside this one; or all
#
# With PREBUILT, a directory with libkqueue.so and libkqueue.a of these sources, nothing is compiled: in cargo's place
# stands what hands those out. Only that the archive compiles, without a network, is not tried then. A tool that is not
# there skips its cases; with CI set that is a failure. The last line counts.

# The files beside this one have what is set here, and the other way round.
# shellcheck disable=SC2034
set -u
archive=$(realpath -e "${1:?usage: packaging/check/run.sh ARCHIVE [KIND...]}") || exit 1
shift
[ -z "${PREBUILT:-}" ] || PREBUILT=$(realpath -e "$PREBUILT") || exit 1
cd "$(dirname "$0")" || exit 1
here=$PWD
work=$(realpath -m ../../build/packages)
rm -rf "$work"
mkdir -p "$work"
export LC_ALL=C
unset MAKEFLAGS MFLAGS MAKELEVEL DESTDIR CFLAGS LDFLAGS PKG_CONFIG_PATH CARGO_TARGET_DIR

../fill.sh "$archive" "$work/filled"
filled=$work/filled
version=$(sed -n 's/^version = "\(.*\)"/\1/p' ../../Cargo.toml)
consumers=$(realpath ../../tests/consumers)
# What wants to be root, and what does not want to be, is so in a namespace of its own; one has no network.
if [ "$(id -u)" = 0 ]; then
    as_root=() as_user=(unshare --map-user=1000 --map-group=1000) offline=(unshare --net)
else
    as_root=(unshare --map-root-user) as_user=() offline=(unshare --map-root-user --net)
fi

if [ -n "${PREBUILT:-}" ]; then
    export PREBUILT
    mkdir -p "$work/bin"
    cat > "$work/bin/cargo" <<'CARGO'
#!/bin/sh
set -eu
mkdir -p "${CARGO_TARGET_DIR:-target}/release"
cp "$PREBUILT/libkqueue.so" "$PREBUILT/libkqueue.a" "${CARGO_TARGET_DIR:-target}/release"
CARGO
    chmod +x "$work/bin/cargo"
    PATH=$work/bin:$PATH
fi

passed=0 failed=0 skipped=0

# check WHAT COMMAND [ARGUMENT...]: a case. A function runs with "set -e", in the directory of its kind. What was said is
# shown where it failed, and with the kind it is over then.
check() {
    local what=$1 log
    shift
    [ -z "$broken" ] || return
    log=$work/$kind/log-${what//[^a-z0-9]/-}
    # In the background: "set -e" does nothing in a command whose status is looked at.
    (set -e; cd "$work/$kind"; "$@") > "$log" 2>&1 < /dev/null &
    if wait $!; then
        echo "ok      $kind: $what"
        passed=$((passed + 1))
    else
        echo "FAILED  $kind: $what ($log)"
        tail -n 30 "$log" | sed 's/^/        /'
        failed=$((failed + 1))
        broken=yes
    fi
}

skip() {
    if [ -n "${CI:-}" ]; then
        echo "FAILED  $kind: $*"
        failed=$((failed + 1))
    else
        echo "skipped $kind: $*"
        skipped=$((skipped + 1))
    fi
}

# need TOOL...: true if all are there.
need() {
    local tool
    for tool; do
        command -v "$tool" > /dev/null || { skip "$tool is not installed"; return 1; }
    done
}

# ---- An installation is used

# uses ROOT LIBDIR [OPTION...]: a program finds by pkg-config what is installed below ROOT, and runs on it.
uses() {
    local root=$1 libdir=$2 flags
    shift 2
    export PKG_CONFIG_LIBDIR=$root$libdir/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root
    [ "$(pkg-config --modversion libkqueue)" = "$version" ]
    flags=$(pkg-config --cflags --libs "$@" libkqueue)
    # shellcheck disable=SC2086 # a list
    cc -Wall -Wextra -Werror -o consumer "$consumers/program.c" $flags
    [ "$(LD_LIBRARY_PATH=$root$libdir ./consumer)" = "kqueue works" ]
}

# has_soname ROOT LIBDIR: it is what a program that was built against the C library asks the loader for.
has_soname() {
    [ "$(readlink "$1$2/libkqueue.so.0")" = "libkqueue.so.0.${version%.*}" ]
    readelf -d "$1$2/libkqueue.so.0" | grep -q 'soname: \[libkqueue.so.0\]'
}

# found_by_cmake PREFIX: find_package() finds it, and the program runs.
found_by_cmake() {
    rm -rf found
    cmake -S "$consumers/cmake" -B found -DHOW=package -DPROGRAM="$consumers/program.c" -DCMAKE_PREFIX_PATH="$1"
    cmake --build found
    [ "$(found/consumer)" = "kqueue works" ]
}

[ $# -gt 0 ] || set -- deb rpm arch alpine vcpkg meson cargo-c
for kind; do
    mkdir -p "$work/$kind"
    broken=
    # shellcheck disable=SC1090 # the file of the kind
    . "$here/$kind.sh"
done
echo "$passed passed, $failed failed, $skipped skipped"
[ $failed = 0 ] && [ $passed -gt 0 ]

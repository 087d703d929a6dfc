#!/bin/sh
# Builds the library for Windows by cross compiling, and lays it out as a Windows developer expects it:
#
#   windows/build.sh PREFIX VERSION
#
#   PREFIX/bin/libkqueue.dll        and kqueue.dll, which only forwards to it: MinGW's name and MSVC's
#   PREFIX/lib/libkqueue.dll.a      the import library for MinGW; kqueue.lib is that for MSVC
#   PREFIX/lib/libkqueue.a          for MinGW
#   PREFIX/include/kqueue           sys/event.h, kqueue/signal.h
#   PREFIX/lib/pkgconfig, PREFIX/lib/cmake
#
# Nothing is installed; what is missing is named.

set -eu
prefix=$1 version=$2
cd "$(dirname "$0")/.."
target=x86_64-pc-windows-gnu
mingw=x86_64-w64-mingw32
cargo=${CARGO:-cargo}

missing=
for tool in $mingw-gcc $mingw-dlltool $mingw-strip; do
    command -v $tool >/dev/null || missing="$missing
    $tool: on Debian in gcc-mingw-w64-x86-64 and binutils-mingw-w64-x86-64"
done
if [ -d "$(rustc --print target-libdir --target $target 2>/dev/null)" ]; then
    std=
elif [ -x /usr/bin/cargo ] && [ -d "$(/usr/bin/rustc --print sysroot)/lib/rustlib/src/rust/library" ]; then
    # Debian's rustc-web, cargo-web and rust-web-src: the standard library is built as well.
    cargo=/usr/bin/cargo std=-Zbuild-std=std,panic_unwind
    export RUSTC=/usr/bin/rustc RUSTC_BOOTSTRAP=1
else
    missing="$missing
    Rust's standard library: rustup target add $target, or Debian's rustc-web, cargo-web and rust-web-src"
fi
if [ -n "$missing" ]; then
    echo "To build for Windows there is missing:$missing" >&2
    exit 1
fi

# One kind at a time: only then is all of it optimized as one, and what nobody calls of the standard library goes.
# Wine has no bcryptprimitives.dll, which that would ask for.
for kind in cdylib staticlib; do
    # shellcheck disable=SC2086 # lists
    CARGO_PROFILE_RELEASE_DEBUG=none $cargo rustc --release --lib --crate-type $kind --target $target $std ${CARGOFLAGS:-}
done
release=${CARGO_TARGET_DIR:-target}/$target/release

rm -rf "$prefix"
mkdir -p "$prefix/bin" "$prefix/lib/pkgconfig" "$prefix/lib/cmake/libkqueue" "$prefix/include/kqueue/sys" \
    "$prefix/include/kqueue/kqueue"
$mingw-strip -o "$prefix/bin/libkqueue.dll" "$release/kqueue.dll"
cp "$release/libkqueue.a" "$prefix/lib/libkqueue.a"
$mingw-dlltool -d windows/exports.def -D libkqueue.dll -l "$prefix/lib/libkqueue.dll.a"
if command -v llvm-dlltool >/dev/null; then
    llvm-dlltool -m i386:x86-64 -d windows/exports.def -D kqueue.dll -l "$prefix/lib/kqueue.lib"
else
    $mingw-dlltool -d windows/exports.def -D kqueue.dll -l "$prefix/lib/kqueue.lib"
fi

forward=$prefix/forward.def
sed 's/^    \(.*\)$/    \1 = libkqueue.\1/' windows/exports.def >"$forward"
: | $mingw-gcc -shared -nostdlib -Wl,--entry=0 -o "$prefix/bin/kqueue.dll" -x c - -x none "$forward"
rm "$forward"

# What this build does not implement is not defined, so that a program can ask with #ifdef.
sed '/^\/\* Descriptor ident has sent all/,/^$/d' include/kqueue/sys/event.h >"$prefix/include/kqueue/sys/event.h"
cp windows/signal.h "$prefix/include/kqueue/kqueue/signal.h"
sed "s|@VERSION@|$version|" windows/libkqueue.pc.in >"$prefix/lib/pkgconfig/libkqueue.pc"
cp windows/libkqueue-config.cmake "$prefix/lib/cmake/libkqueue/"
sed -e "s|@VERSION@|$version|" -e "s|@MAJOR@|${version%%.*}|" libkqueue-config-version.cmake.in \
    >"$prefix/lib/cmake/libkqueue/libkqueue-config-version.cmake"
cp LICENSE README.md BUGS.md "$prefix/"

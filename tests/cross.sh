#!/bin/sh
# What "make check-cross" runs: the library is type-checked for systems that are not this one, so that the backend for
# any Unix is POSIX and not glibc, and the one on event ports what illumos and Oracle Solaris have. Their std is built from source, with the compiler that Debian has the source of.
# TARGETS names others than these.

cd "$(dirname "$0")/.." || exit 1
bin=/usr/bin library=/usr/lib/rustlib/src/rust/library
targets=${TARGETS:-x86_64-unknown-freebsd aarch64-linux-android x86_64-unknown-illumos x86_64-pc-solaris}

if [ ! -x $bin/cargo ] || [ ! -x $bin/rustc ] || [ ! -d $library ]; then
    echo "there is no source of std here: apt-get install rustc-web cargo-web rust-web-src" >&2
    exit 1
fi
RUSTC_BOOTSTRAP=1 RUSTC=$bin/rustc PATH=$bin:$PATH
CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-target}/cross
export RUSTC_BOOTSTRAP RUSTC PATH CARGO_TARGET_DIR
unset RUSTUP_TOOLCHAIN
for target in $targets; do
    # Nobody here has their C compiler, and nothing is linked.
    name=$(printf %s "$target" | tr - _)
    export "CC_$name=true" "AR_$name=true"
    echo "== $target"
    RUSTFLAGS='-D warnings' $bin/cargo -Zbuild-std=std,panic_unwind check --quiet --lib --target "$target" $CARGOFLAGS ||
        exit 1
done
# The lines of C have no glibc in them either: musl's compiler reads them.
for file in src/platform/posix/shim.c src/platform/unix/shim.c; do
    echo "== $file"
    musl-gcc -std=c11 -fsyntax-only -Wall -Wextra -Werror $file || exit 1
done
echo "type-checked for: $targets"

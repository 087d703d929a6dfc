# SPDX-License-Identifier: BSD-2-Clause
# cargo cinstall of the unpacked archive. It compiles, whatever PREBUILT says.

cargo_c_install() {
    tar -xf "$archive"
    # With the cargo that compiles, not the one that stands in.
    PATH=${PATH#"$work/bin:"}
    (cd "libkqueue-$version" && cargo cinstall --locked --offline --destdir="$work/cargo-c/root" --prefix=/usr --libdir=/usr/lib)
    has_soname "$PWD/root" /usr/lib
    uses "$PWD/root" /usr/lib
    uses "$PWD/root" /usr/lib --static
    grep -q 'kqueue' root/usr/include/kqueue/sys/event.h
    cmp "libkqueue-$version/include/kqueue/sys/event.h" root/usr/include/kqueue/sys/event.h
}

cargo_c_version() { grep -q "^library = .*version = \"0.${version%.*}\"" "$here/../../Cargo.toml"; }

check "the version of the library" cargo_c_version
if need cargo-cinstall; then check "cargo cinstall, and used" cargo_c_install; fi

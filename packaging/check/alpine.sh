# SPDX-License-Identifier: BSD-2-Clause
# There is no abuild but on Alpine: what it does with the APKBUILD is done here, by busybox's shell and with busybox's tools, as
# there (but install, which Debian's busybox has not). The C library is this machine's.

alpine_lint() {
    busybox ash -n "$filled/alpine/APKBUILD"
    # The variables are read by abuild, which leaves a function where a command fails.
    shellcheck -s sh -e SC2034,SC2154 "$filled/alpine/APKBUILD"
    busybox ash -euc '. "$1"
        for value in "$pkgname" "$pkgver" "$pkgrel" "$pkgdesc" "$url" "$arch" "$license" "$source" "$sha512sums"; do
            test -n "$value"
        done
        test "$pkgver" = "$2"
        test "${#pkgdesc}" -lt 128' ash "$filled/alpine/APKBUILD" "$version"
}

alpine_build() {
    mkdir -p bin src
    for tool in awk cat chmod cp cut find grep ln ls mkdir mv rm sed sh sort tar tr xz; do
        ln -sf "$(command -v busybox)" "bin/$tool"
    done
    cp "$archive" src
    PATH=$PWD/bin:$PATH busybox ash -euc '
        . "$1"
        srcdir=$PWD/src builddir=$PWD/src/$pkgname-$pkgver pkgdir=$PWD/root
        cd "$srcdir"
        echo "$sha512sums" | sed /^$/d | busybox sha512sum -c
        xz -dc "$pkgname-$pkgver.tar.xz" | tar -x
        for phase in build check package; do
            cd "$builddir"
            "$phase"
        done' ash "$filled/alpine/APKBUILD"
}

alpine_use() {
    has_soname "$PWD/root" /usr/lib
    uses "$PWD/root" /usr/lib
    uses "$PWD/root" /usr/lib --static
}

if need busybox shellcheck; then
    check "the APKBUILD" alpine_lint
    check "its functions, in busybox" alpine_build
    check "used" alpine_use
fi

# SPDX-License-Identifier: BSD-2-Clause
# By shellcheck and makepkg; and the package installed by pacman into an empty root and removed again.

arch_lint() {
    bash -n "$filled/arch/PKGBUILD"
    # The variables are read by makepkg, which leaves a function where a command fails.
    shellcheck -s bash -e SC2034,SC2154,SC2164 "$filled/arch/PKGBUILD"
    cp "$filled/arch/PKGBUILD" "$archive" .
    "${as_user[@]}" makepkg --printsrcinfo
}

arch_build() { "${as_user[@]}" makepkg --nodeps --nocolor; }

in_root() {
    mkdir -p root/var/lib/pacman root/var/cache root/hooks
    "${as_root[@]}" pacman --noconfirm --root root --dbpath root/var/lib/pacman --cachedir root/var/cache --hookdir root/hooks \
        --logfile root/var/log --config "$work/arch/pacman.conf" "$@"
}

arch_install() {
    printf '[options]\nArchitecture = auto\nSigLevel = Never\n' > pacman.conf
    in_root -Udd libkqueue-"$version"-1-*.pkg.tar*
    in_root -Qkk libkqueue
    has_soname "$PWD/root" /usr/lib
    uses "$PWD/root" /usr/lib
    uses "$PWD/root" /usr/lib --static
}

arch_remove() {
    in_root -Rdd libkqueue
    [ -z "$(find root/usr -name '*kqueue*' -o -name '*kevent*')" ]
}

if need makepkg pacman shellcheck fakeroot bsdtar; then
    check "the PKGBUILD" arch_lint
    check "makepkg" arch_build
    check "installed, and used" arch_install
    check "removed" arch_remove
fi

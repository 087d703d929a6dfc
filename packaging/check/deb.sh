# SPDX-License-Identifier: BSD-2-Clause
# The source and binary packages, lintian, autopkgtest; and the packages installed, used and removed. That is done in an overlay
# of this machine's root, which is thrown away: nothing of the machine is changed.

deb_build() {
    cp "$archive" "libkqueue_$version.orig.tar.xz"
    tar -xf "$archive"
    cd "libkqueue-$version"
    # Where cargo is not Debian's it stands on the path; everything else that is named has to be there.
    dpkg-buildpackage -us -uc --build-profiles=pkg.libkqueue.rustup
}

# debian/README.source says why these two do not count. The sources have thousands of files in vendor/, and take a minute.
deb_lintian() {
    [ -n "${PREBUILT:-}" ] && set -- ./*.deb || set -- ./*.changes
    lintian --allow-root --fail-on error,warning --suppress-tags initial-upload-closes-no-bugs,no-debian-changes "$@"
}

# in_overlay COMMAND...: with a root of its own, which is this one's and forgets everything. The directory of the kind is
# in it, too.
in_overlay() {
    rm -rf overlay
    mkdir -p overlay/upper overlay/work overlay/root
    "${as_root[@]}" unshare --mount sh -euc '
        directory=$1
        shift
        # What is written cannot be kept on another overlay, which the root of a container is.
        if [ "$(stat -f -c %T overlay)" = overlayfs ]; then
            mount -t tmpfs tmpfs overlay
            mkdir overlay/upper overlay/work overlay/root
        fi
        mount -t overlay -o lowerdir=/,upperdir=overlay/upper,workdir=overlay/work overlay overlay/root
        for mounted in dev proc sys; do mount --rbind "/$mounted" "overlay/root/$mounted"; done
        exec chroot overlay/root env -C "$directory" "$@"' sh "$PWD" "$@"
}

deb_install() {
    in_overlay sh -euxc '
        all() { find /etc /usr /var/lib "(" -name "*kqueue*" -o -name "kevent*" ")" | sort; }
        all > before
        dpkg -i libkqueue0_*.deb libkqueue-dev_*.deb
        dpkg -V libkqueue0 libkqueue-dev
        man -w 2 kqueue kevent
        cp "$1" program.c
        cc -o consumer program.c $(pkg-config --cflags --libs libkqueue)
        test "$(./consumer)" = "kqueue works"
        # Programs that are there already go on when only the library is left, or comes back.
        dpkg -r libkqueue-dev
        test "$(./consumer)" = "kqueue works"
        test ! -e /usr/include/kqueue
        dpkg -P libkqueue0
        if ./consumer; then exit 1; fi
        all | diff before -
        ' sh "$consumers/program.c"
}

deb_autopkgtest() {
    in_overlay autopkgtest --no-built-binaries libkqueue0_*.deb libkqueue-dev_*.deb "libkqueue-$version/" -- null
}

if need dpkg-buildpackage dh lintian; then
    check "dpkg-buildpackage" deb_build
    check "lintian" deb_lintian
    check "installed, used, removed" deb_install
    if need autopkgtest; then check "autopkgtest" deb_autopkgtest; fi
fi

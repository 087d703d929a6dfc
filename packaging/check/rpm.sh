# SPDX-License-Identifier: BSD-2-Clause
# rpmlint, rpmbuild without a network, and the packages installed into an empty root and erased again.

in_root() { "${as_root[@]}" rpm --root "$work/rpm/root" "$@"; }

rpm_build() {
    mkdir -p SOURCES
    cp "$archive" SOURCES
    # The tools are Debian's here: no rpm says so.
    "${offline[@]}" rpmbuild --nodeps --define "_topdir $PWD" -ba "$filled/rpm/libkqueue.spec"
    rpmlint --strict -c "$here/rpmlint.toml" RPMS SRPMS
}

rpm_install() {
    in_root --nodeps --noscripts -i RPMS/*/libkqueue{,-devel,-static}-"$version"-*.rpm
    in_root --nodeps -V libkqueue libkqueue-devel libkqueue-static
    libdir=$(rpm --eval '%{_libdir}')
    has_soname "$PWD/root" "$libdir"
    uses "$PWD/root" "$libdir"
    uses "$PWD/root" "$libdir" --static
}

rpm_erase() {
    in_root --noscripts --nodeps -e libkqueue-static libkqueue-devel libkqueue
    [ -z "$(find root -name '*kqueue*' -o -name '*kevent*')" ]
}

if need rpmbuild rpmlint; then
    check "the spec" rpmlint --strict -c "$here/rpmlint.toml" "$filled/rpm/libkqueue.spec"
    check "rpmbuild" rpm_build
    check "installed, and used" rpm_install
    check "erased" rpm_erase
fi

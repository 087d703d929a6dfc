# SPDX-License-Identifier: BSD-2-Clause
# A project that has the wrap, and no other libkqueue, is configured, built and run; and where the
# library is shared, it is installed with the program.

meson_project() { # LINKAGE, STATIC: what the project asks for with dependency(static:)
    rm -rf project
    mkdir project
    cp "$consumers"/meson/meson.build "$consumers"/meson/meson_options.txt "$consumers/program.c" project
    cp -r "$filled/meson/subprojects" project
    # What meson would have fetched.
    mkdir project/subprojects/packagecache
    cp "$archive" project/subprojects/packagecache
    PKG_CONFIG_LIBDIR=/nowhere meson setup --wrap-mode=nofallback --force-fallback-for=libkqueue \
        -Dstatic="$2" --prefix="$PWD/prefix" project/built project
    meson compile -C project/built
    [ "$(project/built/consumer)" = "kqueue works" ]
    needed=$(readelf -d project/built/consumer | grep -c 'NEEDED.*libkqueue.so.0') || true
    meson install -C project/built --no-rebuild --destdir "$PWD/root-$1"
    case $1 in
    shared)
        [ "$needed" = 1 ]
        [ -n "$(find "root-$1" -name libkqueue.so.0)" ]
        ;;
    static)
        [ "$needed" = 0 ]
        [ ! -e "root-$1" ]
        ;;
    esac
}

if need meson ninja; then
    check "the archive in a program" meson_project static true
    check "the shared library beside a program" meson_project shared false
fi

# SPDX-License-Identifier: BSD-2-Clause
# The port, run by cmake with a stand-in for the functions of vcpkg that it calls (vcpkg.cmake beside this file); and its
# vcpkg.json held to the rules of vcpkg's documentation.

vcpkg_json() {
    python3 - "$filled/vcpkg/libkqueue/vcpkg.json" "$version" <<'PYTHON'
import json, re, sys
port = json.load(open(sys.argv[1]), object_pairs_hook=lambda pairs: dict(pairs) if len(dict(pairs)) == len(pairs) else sys.exit("a key twice"))
fields = {"name", "version", "port-version", "maintainers", "description", "homepage", "documentation", "license", "supports", "dependencies",
          "features", "default-features"}
assert set(port) <= fields, set(port) - fields
assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", port["name"]), port["name"]
assert re.fullmatch(r"\d+(\.\d+)*", port["version"]) and port["version"] == sys.argv[2], port["version"]
assert re.fullmatch(r"https?://\S+", port["homepage"]), port["homepage"]
assert isinstance(port["description"], str) and port["description"]
# An SPDX expression of known licences, and a platform expression of known names.
assert set(re.findall(r"[\w.-]+", port["license"])) <= {"BSD-2-Clause", "MIT", "Apache-2.0", "AND", "OR"}, port["license"]
assert set(re.findall(r"\w+", port["supports"])) <= {"linux", "native"}, port["supports"]
PYTHON
}

vcpkg_port() { # LINKAGE
    rm -rf "port-$1"
    cmake -DARCHIVE="$archive" -DPORT_DIRECTORY="$filled/vcpkg/libkqueue" -DWORK="$PWD/port-$1" -DLINKAGE="$1" -DVERSION="$version" \
        -P "$here/vcpkg.cmake"
    package=$PWD/port-$1/packages
    test -s "$package/share/libkqueue/copyright"
    # What vcpkg itself refuses in a package.
    [ -z "$(find "$package" -type d -empty)" ]
    [ ! -e "$package/debug/include" ]
    [ ! -e "$package/debug/share" ]
    [ -z "$(find "$package" -name '*.cmake' ! -path '*/share/libkqueue/*')" ]
    # Its own path, which another machine has not.
    [ -z "$(grep -rlI "$PWD" "$package")" ]
    case $1 in
    static)
        [ -z "$(find "$package" -name '*.so*')" ]
        [ "$(find "$package" -name '*.a' | wc -l)" = 2 ]
        ;;
    dynamic)
        [ -z "$(find "$package" -name '*.a')" ]
        has_soname "$package" /lib
        has_soname "$package/debug" /lib
        ;;
    esac
    # Moved, as vcpkg does with what it has built.
    rm -rf moved
    mv "$package" moved
    found_by_cmake "$PWD/moved"
}

if need python3; then check "vcpkg.json" vcpkg_json; fi
if need cmake; then
    check "a port of the archive" vcpkg_port static
    check "a port of the shared library" vcpkg_port dynamic
fi

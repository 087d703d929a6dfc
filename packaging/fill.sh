#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# What packagers take, beside a release archive: the files of this folder, with the version and the sums of the archive in the
# place of @NAMES@. Run by "make dist".
#
#   packaging/fill.sh ARCHIVE DIRECTORY
#
# HOMEPAGE is where the archive is to be had: where debian/control says, if it is not set. The day is that of the newest
# entry of debian/changelog.

set -eu
archive=$(realpath "${1:?usage: packaging/fill.sh ARCHIVE DIRECTORY}")
directory=${2:?usage: packaging/fill.sh ARCHIVE DIRECTORY}
mkdir -p "$directory"
directory=$(realpath "$directory")
cd "$(dirname "$0")"

version=$(sed -n 's/^version = "\(.*\)"/\1/p' ../Cargo.toml)
homepage=${HOMEPAGE:-$(sed -n 's/^Homepage: //p' ../debian/control)}
date=$(LC_ALL=C date -u -d "$(sed -n 's/^ -- .*>  //p' ../debian/changelog | head -n 1)" '+%a %b %d %Y')
sum() { "$1" "$archive" | cut -d' ' -f1; }

find rpm alpine arch vcpkg meson -type f | while read -r file; do
    filled=$directory/${file%.in}
    mkdir -p "$(dirname "$filled")"
    case $file in
    *.in)
        sed -e "s|@VERSION@|$version|g" -e "s|@HOMEPAGE@|$homepage|g" \
            -e "s|@SHA256@|$(sum sha256sum)|g" -e "s|@SHA512@|$(sum sha512sum)|g" \
            -e "s|@DATE@|$date|g" "$file" > "$filled"
        ;;
    *) cp -p "$file" "$filled" ;;
    esac
done

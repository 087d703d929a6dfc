#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# build.sh OUTPUT_DIRECTORY SOURCE_DIRECTORY MAKE CARGO: builds both libraries and puts them where meson expects them.
set -eu
"$3" -C "$2" CARGO="$4" CARGOFLAGS='--locked --offline'
cp "$2/build/libkqueue.a" "$2/build/libkqueue.so" "$1"
cp "$2/build/libkqueue.so" "$1/libkqueue.so.0"

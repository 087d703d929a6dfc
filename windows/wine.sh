#!/bin/sh
# Runs a command with a Wine of its own: a prefix under build/windows, and a server that stays until the command has
# ended.
#
#   windows/wine.sh COMMAND...      in which "$WINE program.exe" runs a program
#
# WINEPREFIX names another prefix, which is made where it is missing.

set -eu
cd "$(dirname "$0")/.."
WINE=${WINE:-$(command -v wine64 || ls /usr/lib/wine/wine64 2>/dev/null || :)}
server=$(command -v wineserver64 || ls /usr/lib/wine/wineserver64 2>/dev/null || :)
if [ -z "$WINE" ] || [ -z "$server" ]; then
    echo "To run programs for Windows there is missing: wine64 (on Debian in wine64)" >&2
    exit 1
fi
export WINE WINEPREFIX="${WINEPREFIX:-$PWD/build/windows/wine}" WINEDEBUG="${WINEDEBUG:--all}" \
    WINEDLLOVERRIDES="mscoree,mshtml=;winedbg.exe="
mkdir -p "$(dirname "$WINEPREFIX")"
[ -d "$WINEPREFIX" ] || "$WINE" wineboot -i >/dev/null 2>&1
"$server" -p || : # it may be there
trap '"$server" -k || :' EXIT
trap 'exit 1' INT TERM
"$@"

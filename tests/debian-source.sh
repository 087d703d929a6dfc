# SPDX-License-Identifier: BSD-2-Clause
#
# Debian's source packages, found through the apt sources of this machine, without changing anything of it. To be
# sourced by bash.

# private_apt DIR: prints the apt configuration under which sources can be fetched into DIR: the machine's own entries
# turned into deb-src entries, with lists and caches of their own. The entries are rewritten, not made anew, because
# they carry what a mirror needs (keys, options).
private_apt() {
    local dir=$1 main parts entry
    eval "$(apt-config shell main Dir::Etc::sourcelist/f parts Dir::Etc::sourceparts/d)"
    mkdir -p "$dir/sources" "$dir/lists/partial" "$dir/cache/archives/partial"
    for entry in "$main" "$parts"/*.list "$parts"/*.sources; do
        [ -r "$entry" ] || continue
        case $entry in
            *.sources) sed 's/^[Tt]ypes:.*/Types: deb-src/' "$entry" ;;
            *) sed -n 's/^[[:space:]]*deb\(-src\)\{0,1\}[[:space:]]/deb-src /p' "$entry" ;;
        esac > "$dir/sources/$(basename "$entry")"
    done
    cat <<CONF
Dir::Etc::sourcelist "/dev/null";
Dir::Etc::sourceparts "$dir/sources";
Dir::State::lists "$dir/lists";
Dir::Cache "$dir/cache";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Acquire::Languages "none";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
CONF
    # root would fetch as the user _apt, who may not write here.
    [ "$(id -u)" != 0 ] || echo 'APT::Sandbox::User "root";'
}

# download_source APT PACKAGE: puts the files of the newest version that the mirror really has into APT, a directory
# where private_apt's configuration is apt.conf. A mirror may list a version (a security update, say) and not have
# its files; then an older one serves, or the upstream archive without Debian's changes. Prints what to unpack.
download_source() {
    local apt=$1 package=$2 version
    for version in $(apt-cache -c "$apt/apt.conf" showsrc "$package" |
        awk -v p="$package" '$1 == "Package:" { this = $2 } $1 == "Version:" && this == p { print $2 }' | sort -uVr); do
        if (cd "$apt" && apt-get -q -c apt.conf source --download-only "$package=$version") >&2; then
            echo "$apt/${package}_${version#*:}.dsc"
            return
        fi
    done
    ls -1 "$apt/${package}"_*.orig.tar.* 2>/dev/null | grep -v '\.asc$' | tail -n 1 | grep .
}

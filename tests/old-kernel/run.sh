#!/bin/sh
# What "make check-old-kernel" runs on the staged installation: the C conformance suite, linked with the archive into a
# static program, on the oldest kernel that Debian still has a package of. qemu runs it without KVM from an initramfs,
# so this takes a quarter of an hour or more; nothing is installed, and root is not needed. FILTERS and options in ARGS are for the
# suite. Wants apt, dpkg, cpio and qemu-system-x86 (qemu-system-x86_64).

set -eu
stage=$(realpath "${1:?the staged prefix}")
cd "$(dirname "$0")/../.."
here=tests/old-kernel build=$PWD/build/old-kernel
suite=${SUITE:-bullseye}
mkdir -p "$build/lists/partial" "$build/cache/archives/partial"

for tool in qemu-system-x86_64 apt-get dpkg-deb cpio gzip; do
    command -v $tool >/dev/null || { echo "$tool is not installed" >&2; exit 1; }
done

# Debian's packages of that suite, without touching the system's own lists.
echo "deb [check-valid-until=no] ${MIRROR:-http://deb.debian.org/debian} $suite main" > "$build/sources"
apt() {
    command=$1
    shift
    "$command" -qq -o Dir::Etc::sourcelist="$build/sources" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$build/lists" \
        -o Dir::Cache="$build/cache" -o APT::Sandbox::User= "$@"
}
if [ ! -e "$build/vmlinuz" ]; then
    apt apt-get update
    # The one for virtual machines is the smaller one.
    kernel=$(apt apt-cache search '^linux-image-[0-9].*-cloud-amd64$' | cut -d' ' -f1 | sort -V | head -n 1)
    : "${kernel:?the mirror has no kernel of $suite}"
    (cd "$build" && apt apt-get download "$kernel" busybox-static)
    for package in "$build"/*.deb; do
        dpkg-deb -x "$package" "$build/packages"
    done
    cp "$build"/packages/boot/vmlinuz-* "$build/vmlinuz"
fi

# Without what makes calls fail: that interposes libc's functions itself, which a static program has but once.
make --no-print-directory -s -C ctests PREFIX_DIR="$stage" BUILD="$build/ctests"
objects=$(ls "$build"/ctests/*.o | grep -v -e /faults -e /refusals -e /memory -e /operations -e /supervise)
# shellcheck disable=SC2086 # a list
${CC:-cc} -pthread -static -o "$build/conformance" $objects "$stage/lib/libkqueue.a" 2> "$build/link.log" || {
    cat "$build/link.log" >&2
    exit 1
}

root=$build/root
rm -rf "$root"
mkdir -p "$root/bin" "$root/proc" "$root/sys" "$root/dev" "$root/tmp" "$root/etc"
cp "$build/packages/bin/busybox" "$root/bin/"
for name in sh true kill sleep grep mount ifconfig poweroff uname mkdir cat; do
    ln -s busybox "$root/bin/$name"
done
cp "$build/conformance" "$root/bin/"
cp $here/init "$root/init"
echo "-t 6 -j 2 ${ARGS:-}" > "$root/arguments"
(cd "$root" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1) > "$build/initramfs"

qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 2G -kernel "$build/vmlinuz" -initrd "$build/initramfs" \
    -append "console=ttyS0 quiet panic=-1" -nographic -no-reboot -nic none -monitor none </dev/null |
    sed -u 's|\r$||' | tee "$build/log"
grep -q '^status 0$' "$build/log"

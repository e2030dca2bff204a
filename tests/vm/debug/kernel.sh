#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/debug/kernel.sh ARCH FRAGMENT...: a kernel from Debian's source, configured by the fragments (beside this file) over allnoconfig.
# Prints the directory of the build: what ARCH boots, and the tree that modules are built against.
#
# It takes many minutes, so it is kept outside the project, in $EUROPA_KERNELS (~/.cache/europa/kernels), under a name made of all that
# it follows from: the source's version, the configuration, the compiler. What nobody has asked for in two weeks is removed.
set -euo pipefail
export LC_ALL=C.UTF-8
here=$(cd "$(dirname "$0")" && pwd)
arch=$1
shift
cache=${EUROPA_KERNELS:-${XDG_CACHE_HOME:-$HOME/.cache}/europa/kernels}
source=linux-source-6.1
candidate() { apt-cache policy $source | sed -n 's/^ *Candidate: //p' | grep -v '(none)'; }
version=$(candidate || { apt-get -q update >&2 && candidate; }) || { echo "kernel.sh: apt knows no $source" >&2; exit 1; }

fragments=("${@/#/$here/}")
key=$({ echo "$version"; grep -hv '^#' "${fragments[@]}"; cc --version; } | sha256sum | cut -c -16)
out=$cache/$arch-$version-$key
mkdir -p "$cache"

# Two who want the same kernel build it once.
exec 9>"$cache/.lock-$arch"
flock 9
if [ -e "$out/.complete" ]; then
	touch "$out"
	echo "$out"
	exit
fi
kbuild() { make -s -C "$out" O= ARCH="$arch" "$@" >&2 9>&-; }

find "$cache" -mindepth 1 -maxdepth 1 -name "$arch-*" -mtime +14 -exec rm -rf {} +
rm -rf "$out"
mkdir -p "$out"
echo "kernel.sh: unpacking $source $version" >&2
# Lists may be older than what the server has.
(cd "$out" && { apt-get -q download "$source=$version" || { apt-get -q update && apt-get -q download "$source=$version"; }; } >&2 &&
 dpkg-deb --fsys-tarfile ./*.deb | tar -xO --wildcards '*.tar.xz' | tar -xJ --strip-components 1 &&
 rm -f ./*.deb)

cat "${fragments[@]}" >"$out/wanted.config"
kbuild KCONFIG_ALLCONFIG="$out/wanted.config" allnoconfig
refused=$(grep -E '^CONFIG_' "$out/wanted.config" | while IFS== read -r option value; do
	if [ "$value" = n ]; then
		! grep "^$option=" "$out/.config" || :
	else
		grep -qx "$option=$value" "$out/.config" || echo "$option=$value"
	fi
done)
if [ -n "$refused" ]; then
	echo "kernel.sh: the kernel doesn't take" $refused >&2
	exit 1
fi

echo "kernel.sh: building for ARCH=$arch; this takes some minutes" >&2
export KBUILD_BUILD_TIMESTAMP=2024-01-01 KBUILD_BUILD_USER=europa KBUILD_BUILD_HOST=europa
case "$arch" in um) targets="linux modules" ;; *) targets="vmlinux modules" ;; esac
# Where there is KCSAN, it is for the module: the kernel's own races are no news, and looking for them takes its time.
kbuild -j"$(nproc)" KCSAN_SANITIZE=n $targets
# What is left is what modules are built with, and what boots.
(cd "$out" && rm -rf Documentation block certs crypto drivers fs init ipc kernel lib mm net samples security sound usr virt)
touch "$out/.complete"
echo "$out"

#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/initrd.sh OUT [MODULES RELEASE]: a small initial file system: busybox, tests/vm/init, and the modules of MODULES/lib/modules/RELEASE
# that are needed to reach the host's root; without, for a kernel that has them built in.
set -euo pipefail
out=$1 root=${2-} release=${3-}
here=$(cd "$(dirname "$0")" && pwd)
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT

mkdir -p "$tree"/{bin,dev,proc,sys,lower,upper,new,modules}
cp /bin/busybox "$tree/bin/busybox"
install -m 755 "$here/init" "$tree/init"
: >"$tree/order"
for module in ${root:+virtio_pci 9pnet_virtio 9p overlay}; do
	modprobe -d "$root" -S "$release" --show-depends "$module"
done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }' | while read -r file; do
	name=$(basename "$file" .xz)
	# A kernel that is handed a compressed module says first that it is none.
	case $file in
	*.xz) /bin/busybox xzcat "$file" ;;
	*) cat "$file" ;;
	esac >"$tree/modules/$name"
	echo "$name" >>"$tree/order"
done
(cd "$tree" && find . -mindepth 1 -print0 | sort -z | cpio -0 -o -H newc -R 0:0 --reproducible --quiet | gzip -1n) >"$out"

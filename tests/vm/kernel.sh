#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/kernel.sh DIR: downloads the kernel that the installed headers (linux-headers-amd64) are of, and unpacks it into DIR/root without
# installing it. Prints its release. What is there already is not fetched again.
set -euo pipefail
dir=$1
version=$(dpkg-query -W -f '${Version}' linux-headers-amd64)
image=$(apt-cache show "linux-image-amd64=$version" | sed -n 's/^Depends: \(linux-image-[^ ]*\).*/\1/p')
release=${image#linux-image-}

if [ ! -e "/lib/modules/$release/build/Module.symvers" ]; then
	echo "kernel.sh: the headers of $release are not installed" >&2
	exit 1
fi
mkdir -p "$dir"
if [ ! -e "$dir/root/.complete-$release-$version" ]; then
	rm -rf "$dir/root"
	(cd "$dir" && rm -f linux-image-*.deb && apt-get -q download "$image=$version" >&2)
	dpkg -x "$dir/${image}_${version}_amd64.deb" "$dir/root"
	depmod -b "$dir/root" "$release"
	touch "$dir/root/.complete-$release-$version"
fi
echo "$release"

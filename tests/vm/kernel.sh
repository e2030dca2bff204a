#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/kernel.sh DIR: downloads the kernel that the installed headers (linux-headers-amd64) are of, and unpacks it into DIR/root without
# installing it. Prints its release; or, on stderr and last, why there is none. The package is kept in ~/.cache/europa/kernels.
set -euo pipefail
dir=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/europa/kernels
give_up() { echo "$*" >&2; exit 1; }

version=$(dpkg-query -W -f '${Version}' linux-headers-amd64 2>/dev/null) || give_up "linux-headers-amd64 is not installed"
headers=$(dpkg-query -W -f '${Depends}' linux-headers-amd64 | grep -oE 'linux-headers-[0-9][^ ,]*' | head -n 1)
release=${headers#linux-headers-}
image=linux-image-$release
package=${image}_${version}_amd64.deb
[ -e "/lib/modules/$release/build/Module.symvers" ] || give_up "the headers of $release are not installed"

# Only what came whole gets its name. Lists may be older than what the server has, or not be there at all.
fetch()
{
	local here
	here=$(mktemp -d "$cache/XXXXXX")
	(cd "$here" && { timeout 300 apt-get -q download "$image=$version" ||
			{ timeout 120 apt-get -q update && timeout 300 apt-get -q download "$image=$version"; }; }) >&2 &&
		mv "$here/"*.deb "$cache/$package"
	rm -rf "$here"
	[ -e "$cache/$package" ]
}

mkdir -p "$dir" "$cache"
if [ ! -e "$dir/root/.complete-$release-$version" ]; then
	[ -e "$cache/$package" ] || fetch || give_up "$image $version can't be downloaded; are linux-headers-amd64 the newest?"
	rm -rf "$dir/root"
	dpkg -x "$cache/$package" "$dir/root"
	depmod -b "$dir/root" "$release"
	touch "$dir/root/.complete-$release-$version"
fi
echo "$release"

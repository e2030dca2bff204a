#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/kernel.sh DIR: downloads a kernel of Debian's and unpacks it into DIR/root without installing it; modules for it are built against
# DIR/root/lib/modules/RELEASE/build. Prints its release; or, on stderr and last, why there is none. Packages are kept in ~/.cache/europa/kernels.
#
#   VM_KERNEL  installed, or nothing: the kernel that the installed headers (linux-headers-amd64) are of
#              backports: the newest one in Debian's backports, with its headers
set -euo pipefail
dir=$1
cache=${XDG_CACHE_HOME:-$HOME/.cache}/europa/kernels
give_up() { echo "$*" >&2; exit 1; }
mkdir -p "$dir" "$cache"

update() { timeout 120 "${apt[@]}" update >&2; }
download() { timeout 300 "${apt[@]}" download "$1=$version" >&2; }

# Who is asked about packages, and where they come from: this machine's dpkg and apt, as they are set up ...
use_installed()
{
	about=(dpkg-query -s)
	apt=(apt-get -q)
}
# ... or an apt that knows these lists alone, and verifies them with Debian's keys. Without a network, they are those of last time.
use_backports()
{
	local lists=$cache/backports suite own
	suite=$(. /etc/os-release; echo "$VERSION_CODENAME-backports")
	mkdir -p "$lists/partial"
	echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian $suite main" >"$lists.list"
	own=(-o "Dir::Etc::SourceList=$lists.list" -o Dir::Etc::SourceParts=/dev/null
		-o "Dir::State::Lists=$lists" -o Dir::State::Status=/dev/null -o "Dir::Cache=$lists")
	about=(apt-cache "${own[@]}" show --no-all-versions)
	apt=(apt-get -q "${own[@]}")
	update || :
}

# PACKAGE FIELD
field() { "${about[@]}" "$1" | sed -n "s/^$2: //p"; }

# PACKAGE: its file, where there is one. Only what came whole gets its name; lists may be older than what the server has, or not be there at all.
kept() { compgen -G "$cache/${1}_${version}_*.deb"; }
fetch()
{
	local here
	here=$(mktemp -d "$cache/XXXXXX")
	(cd "$here" && { download "$1" || { update && download "$1"; }; }) && mv "$here/"*.deb "$cache/"
	rm -rf "$here"
	kept "$1"
}

# PACKAGE...
unpack()
{
	local package file
	for package in "$@"; do
		file=$(kept "$package" || fetch "$package") || give_up "$package $version can't be downloaded; is there a newer one?"
		dpkg -x "$file" "$dir/root"
	done
}

case ${VM_KERNEL:=installed} in
installed | backports) "use_$VM_KERNEL" ;;
*) give_up "VM_KERNEL is \"$VM_KERNEL\", and neither \"installed\" nor \"backports\"" ;;
esac
version=$(field linux-headers-amd64 Version) || give_up "VM_KERNEL=$VM_KERNEL: there is no linux-headers-amd64"
headers=$(field linux-headers-amd64 Depends | grep -oE 'linux-headers-[0-9][^ ,]*' | head -n 1)
release=${headers#linux-headers-}

if [ ! -e "$dir/root/.unpacked-$release-$version" ]; then
	rm -rf "$dir/root"
	build=/usr/src/$headers
	unpack "linux-image-$release"
	if [ ! -e "$build/Module.symvers" ]; then
		unpack "$headers" $(field "$headers" Depends | grep -oE 'linux-(headers|kbuild)-[^ ,]*')
		# Their paths are those of an installed system; and with vmlinux, modules would be given BTF, which takes pahole.
		sed -i 's|^include /usr/src/|include ../|' "$dir/root$build/Makefile"
		rm -f "$dir/root$build/vmlinux"
		build=../../..$build
	fi
	ln -sfn "$build" "$dir/root/lib/modules/$release/build"
	depmod -b "$dir/root" "$release"
	touch "$dir/root/.unpacked-$release-$version"
fi
echo "$release"

# SPDX-License-Identifier: MIT
# Sourced by run and figures, with O, dir and log set: a kernel to boot, whose name is $release then, its headers, in $build, and the module for it.
release=$(tests/vm/kernel.sh "$dir")
echo "$release" >"$dir/release"
tests/vm/initrd.sh "$dir/initrd" "$dir/root" "$release"
build=$dir/root/lib/modules/$release/build
tests/vm/module.sh "$PWD/$O/kmod-$release" "$build" >"$log" 2>&1 || { cat "$log" >&2; exit 1; }

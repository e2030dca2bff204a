#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/debug/unit/assemble.sh DIR: puts into DIR what europa_unit.ko is built from: the tests as they are, beside the core as it is, and for
# each header of the C library that they ask for an empty one. What has not changed is left alone. Prints the names of the tests.
set -euo pipefail
dir=$1
cd "$(dirname "$0")/../../../.."
tests=$(sed -n 's/^TESTS := //p' tests/vm/debug/unit/Kbuild)

mkdir -p "$dir/libc"
cp -a kmod/core kmod/uapi tests/vm/debug/unit/{Kbuild,cmocka.h,unit.c} tests/unit/core_{bed,fixture}.h "$dir/"
for test in $tests; do
	cp -a "tests/unit/${test}_test.c" "$dir/"
done
for header in setjmp stdarg stddef stdint stdio stdlib string; do
	[ -e "$dir/libc/$header.h" ] || : >"$dir/libc/$header.h"
done
echo "$tests"

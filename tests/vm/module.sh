#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/module.sh DIR KDIR: builds europa.ko against the kernel's headers in KDIR, in DIR, a copy of kmod/: a DIR for each kernel, so that
# objects of different ones never meet. No warning of the compiler or of sparse is forgiven.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p "$1"
cp -a kmod/. "$1/"
exec make --no-print-directory -C "$1" KDIR="$2" strict

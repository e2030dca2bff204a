#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/module.sh DIR RELEASE: builds europa.ko for the kernel RELEASE in DIR, a copy of kmod/, so that objects of different kernels never
# meet. No warning of the compiler or of sparse is forgiven.
set -eu
cd "$(dirname "$0")/../.."
mkdir -p "$1"
cp -a kmod/. "$1/"
exec make --no-print-directory -C "$1" KDIR="/lib/modules/$2/build" strict

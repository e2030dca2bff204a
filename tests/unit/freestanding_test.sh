#!/bin/sh
# SPDX-License-Identifier: MIT
#
# freestanding_test.sh OBJECT: the core, linked into one object with no library, asks for nothing but memcpy, memset, memcmp.
object=${1:-$(dirname "$0")/../core/freestanding.o}

wanted=$(nm -u "$object") || exit 1
foreign=$(echo "$wanted" | awk 'NF && $2 != "memcpy" && $2 != "memset" && $2 != "memcmp" { print $2 }')
echo 1..1
if [ -n "$foreign" ]; then
	echo "not ok 1 - the core asks for" $foreign
	exit 1
fi
echo "ok 1 - the core asks for nothing"

#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/model/check.sh: model-checks the wake-ups. No wake-up is lost in any interleaving; and without any one of the barriers, second
# looks and kicks one is lost, so that none of them is there in vain and the models can find what they are for.
# Exit status 77: spin is not installed.
set -u
models=$(cd "$(dirname "$0")" && pwd)
command -v spin >/dev/null || { echo "spin is not installed"; exit 77; }
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
wrong=0 without=

# MODEL DEFINES...: prints how many errors there are; nothing where it could not be searched through.
errors_in()
{
	local model=$1 said
	shift
	rm -f pan*
	# The limit on depth is an error of its own: a search that was cut short proves nothing.
	spin -a "$@" "$models/$model.pml" >spin.log 2>&1 && gcc -O0 -w -DSAFETY -DCOLLAPSE -o pan pan.c &&
		said=$(timeout 200 ./pan -E -b -m500000 2>&1) && sed -n 's/.*errors: \([0-9]*\)$/\1/p' <<<"$said"
}

expect()
{
	local wanted=$1 got
	shift
	got=$(errors_in "$@")
	[ "$got" = "$wanted" ] && return
	echo "$*: ${got:-no} errors, expected $wanted"
	tail -n 5 spin.log
	wrong=1
}

for side in VR SWITCH; do
	without="$without -DNO_F_IN_$side -DNO_SECOND_LOOK_IN_$side"
done
expect 0 wakeup
expect 0 wakeup -DMODULE
expect 0 slots
for missing in $without -DNO_E_IN_VR -DNO_E_IN_SWITCH; do
	expect 1 wakeup "$missing"
	expect 1 wakeup -DMODULE "$missing"
done
expect 1 wakeup -DMODULE -DNO_FLAGS_BEFORE_SLEEP
for missing in $without -DNO_E_IN_SWITCH -DNO_KICK; do
	expect 1 slots "$missing"
done
exit $wrong

#!/bin/bash
# SPDX-License-Identifier: MIT
#
# `make demo`: a virtual router between two hosts, which are network namespaces here.
#
#	demo-left 10.0.0.2 --- 10.0.0.1 [ ipfwd ] 10.0.1.1 --- 10.0.1.2 demo-right
#
# Every command is printed as it could be typed. Whatever is made is removed at the end, and whenever this is interrupted.
# DEMO_STEM: another word than "demo" for its names.
set -u
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.." || exit 1
export PATH=$PWD/${O:-build}/bin:$PATH

stem=${DEMO_STEM:-demo}
left=$stem-left right=$stem-right
name_option=${DEMO_STEM:+ --name $DEMO_STEM}
# What runs with this in its environment is the demo's.
export EUROPA_DEMO=$stem.$$

bold='' dim='' plain=''
if [ -t 1 ]; then
	bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
fi

say() { printf '\n%s# %s%s\n' "$dim" "$1" "$plain"; }

# Prints a command and runs it.
show()
{
	printf '%s$ %s%s\n' "$bold" "$1" "$plain"
	eval "$1" || give_up "$1"
}

give_up()
{
	echo "demo: this failed: $1" >&2
	exit 1
}

wait_for()
{
	local i
	for i in $(seq 200); do
		eval "$1" >/dev/null 2>&1 && return
		sleep 0.05
	done
	give_up "waiting for: $1"
}

# A server for one test: one that is still busy with the end of the test before would refuse the next.
serve()
{
	[ -z "$server" ] || wait "$server"
	printf '%s$ %s%s\n' "$bold" "ip netns exec $right iperf3 --server --one-off &" "$plain"
	ip netns exec "$right" iperf3 --server --one-off >/dev/null 2>&1 &
	server=$!
	wait_for "ip netns exec $right ss -Hltn 'sport = :5201' | grep -q ."
}

# ---- nothing stays ----

is_ours() { tr '\0' '\n' <"/proc/$1/environ" 2>/dev/null | grep -qx "EUROPA_DEMO=$EUROPA_DEMO"; }

# The VRs whose supervisor carries the mark; also one that was interrupted before it could say its name.
our_vrs()
{
	local name pid
	europa-ps -a --format json 2>/dev/null | jq -r '.[] | "\(.name) \(.supervisor)"' 2>/dev/null | while read -r name pid; do
		is_ours "$pid" && echo "$name"
	done
}

made_left='' made_right='' server='' vr=''
clean_up()
{
	local status=$? name
	trap '' INT TERM HUP EXIT
	# Nobody may be left to read what is said here.
	exec >/dev/null 2>&1
	[ -z "$server" ] || kill "$server" 2>/dev/null
	for name in $(our_vrs) $vr; do
		europa-kill --time 0 "$name"
	done
	[ -z "$made_left" ] || ip netns del "$left"
	[ -z "$made_right" ] || ip netns del "$right"
	wait
	exit "$status"
}

[ "$(id -u)" = 0 ] || give_up "the demo makes network namespaces: run it as root (sudo make demo)"
for ns in "$left" "$right"; do
	[ ! -e "/run/netns/$ns" ] || give_up "there is a network namespace $ns already; is another demo running?"
done
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
trap 'exit 129' HUP

# ---- the story ----

say "Two hosts."
made_left=1
show "ip netns add $left"
made_right=1
show "ip netns add $right"

say "A virtual router, with a quarter of a CPU and two vNICs. Each vNIC has a device of its own on the host."
printf '%s$ %s%s\n' "$bold" "europa-run --detach$name_option --cpu 25% --vnics 2 image/ipfwd" "$plain"
# shellcheck disable=SC2086
vr=$(europa-run --detach $name_option --cpu 25% --vnics 2 image/ipfwd) || give_up "europa-run"
echo "$vr"
show "europa-ps"

say "One device moves to each host."
show "ip link set $vr-v0 netns $left"
show "ip link set $vr-v1 netns $right"
show "ip -n $left address add 10.0.0.2/24 dev $vr-v0"
show "ip -n $right address add 10.0.1.2/24 dev $vr-v1"
show "ip -n $left link set $vr-v0 up"
show "ip -n $right link set $vr-v1 up"
show "ip -n $left route add default via 10.0.0.1"
show "ip -n $right route add default via 10.0.1.1"
wait_for "ip netns exec $left ping -q -c 1 -W 1 10.0.1.2"

say "Packets pass, and the router shows in their path."
show "ip netns exec $left ping -c 4 -i 0.2 10.0.1.2"
if command -v traceroute >/dev/null; then
	show "ip netns exec $left traceroute -n -q 1 10.0.1.2"
fi

say "UDP, and TCP with the offloads that Linux uses by itself."
serve
show "ip netns exec $left iperf3 --client 10.0.1.2 --udp --bitrate 200M --length 1400 --time 2 | tail -n 5"
serve
show "ip netns exec $left iperf3 --client 10.0.1.2 --time 3 | tail -n 5"

say "What it did: packets by vNIC, drops by cause, the CPU that it used and how often its quota stopped it."
show "europa-stat $vr"

say "And away with it."
show "europa-kill $vr"
vr=''
show "europa-ps --all"
show "ip netns del $left"
made_left=''
wait "$server"
server=''
show "ip netns del $right"
made_right=''
say "Nothing of it is left."

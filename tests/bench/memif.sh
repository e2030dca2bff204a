#!/bin/bash
# SPDX-License-Identifier: MIT
#
# What the hand-off is compared with: DPDK's testpmd, 64-byte packets over memif between two processes, each on a CPU of its own.
#
#	+----- CPU A ------+    shared memory    +------ CPU B -------+
#	| testpmd io       |  id 0: ring 1024    | testpmd macfwd     |
#	|          port 0  |<------------------->| port 0             |
#	|          port 1  |<------------------->| port 1             |
#	+------------------+  id 1: ring 1024    +--------------------+
#
# 960 packets each way, fewer than a ring holds, go round for ever: A sends out of the one port what comes in at the other, B changes
# the MAC addresses and does the same. Each packet is copied on its way in and on its way out of either process, in bursts of 32.
# What B forwards is counted: a packet there and back, as with nullfwd behind a generator port.
#
#	memif.sh [--cpus A,B] [--seconds N] [--samples]
#
# Prints the median of N samples of a second (default 5) as "N packets/s"; with --samples all of them, one a line.
set -u
export LC_ALL=C

cpus=0,1 seconds=5 all=
while [ $# -gt 0 ]; do
	case $1 in
	--cpus) cpus=$2; shift 2 ;;
	--seconds) seconds=$2; shift 2 ;;
	--samples) all=1; shift ;;
	*) echo "usage: memif.sh [--cpus A,B] [--seconds N] [--samples]" >&2; exit 2 ;;
	esac
done
case $cpus,$seconds in
*[!0-9,]* | *,,* | ,* | *,) echo "memif.sh: --cpus '$cpus' --seconds '$seconds': numbers are wanted" >&2; exit 2 ;;
esac
testpmd=$(command -v dpdk-testpmd) || { echo "memif.sh: dpdk-testpmd isn't there: install dpdk-dev" >&2; exit 77; }

dir=$(mktemp -d "${TMPDIR:-/tmp}/memif.XXXXXX")
pids=()
finish()
{
	for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null; done
	wait 2>/dev/null
	rm -rf "$dir"
}
trap finish EXIT
trap 'exit 130' INT TERM

# NAME CPU ROLE MODE: a testpmd that takes its commands from the fifo $dir/NAME. Its main thread sleeps, the other one forwards.
start()
{
	local name=$1 cpu=$2 role=$3 mode=$4
	mkfifo "$dir/$name"
	"$testpmd" --lcores "0@$cpu,1@$cpu" --no-huge -m 512 --no-pci --no-telemetry --file-prefix="memif$$$name" \
		--vdev="net_memif0,role=$role,id=0,socket=$dir/sock,socket-abstract=no,rsize=10" \
		--vdev="net_memif1,role=$role,id=1,socket=$dir/sock,socket-abstract=no,rsize=10" \
		-- -i --total-num-mbufs=16384 --burst=32 --forward-mode="$mode" --no-lsc-interrupt <"$dir/$name" >"$dir/$name.log" 2>&1 &
	pids+=($!)
}

# FILE TEXT: waits until a line with the text is there.
expect()
{
	local i
	for i in $(seq 300); do
		grep -q -- "$2" "$1" 2>/dev/null && return 0
		sleep 0.1
	done
	echo "memif.sh: gave up waiting for '$2'; the end of the log:" >&2
	tail -n 5 "$1" >&2
	exit 1
}

start a "${cpus%,*}" server io
exec 8>"$dir/a"
expect "$dir/a.log" 'testpmd>'
start b "${cpus#*,}" client macfwd
exec 9>"$dir/b"
expect "$dir/b.log" 'testpmd>'

# Both ports of both sides must be up, or the first packets fall on the floor.
for name in a b; do
	for i in $(seq 300); do
		[ $name = a ] && echo "show port summary all" >&8 || echo "show port summary all" >&9
		sleep 0.1
		[ "$(grep -E '^[01] .*memif' "$dir/$name.log" | tail -n 2 | grep -c ' up ')" = 2 ] && break
	done
done

echo start >&9
echo 'start tx_first 30' >&8
sleep 1
echo 'show port stats all' >&9
for i in $(seq "$seconds"); do
	sleep 1
	echo 'show port stats all' >&9
done
# Both stop before either goes: testpmd does not take it well when a peer vanishes.
for word in stop quit; do
	echo $word >&8
	echo $word >&9
	sleep 0.5
done
{ wait "${pids[@]}"; } 2>/dev/null
pids=()

# Two ports a sample; the first sample began before the packets did.
awk '/Rx-pps:/ { sum += $2; if (++n % 2 == 0) { if (n > 2) print sum; sum = 0 } }' "$dir/b.log" >"$dir/samples"
if [ ! -s "$dir/samples" ] || ! awk '$1 > 0 { good = 1 } END { exit !good }' "$dir/samples"; then
	echo "memif.sh: no packets went round; the end of the log:" >&2
	tail -n 20 "$dir/b.log" >&2
	exit 1
fi
if [ -n "$all" ]; then
	cat "$dir/samples"
else
	sort -n "$dir/samples" | awk '{ v[NR] = $1 } END { print v[int((NR + 1) / 2)], "packets/s" }'
fi

#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/check.sh [--some | PYTEST-ARGUMENTS]: the integration suite on the kernel module, in an emulated machine with Debian's kernel; what is
# about criu, which needs such a kernel, on europad as well. Builds nothing but the module and the programs that fail where they are told to.
# Ends with one line, "N passed, N failed, N skipped"; exit status 0 only where nothing failed and something passed, 77 where there is no
# emulator or no kernel to be had, which counts as one that is skipped. $O/check/vm.skips and vm.failures say what.
#
#   VM_SECONDS (4500)  what the machine is given in all
#   VM_KERNEL (installed)  backports: the kernel of Debian's backports, downloaded with its headers (kernel.sh)
#
# A test fails where the kernel's log gets a warning while it runs (tests/integration/conftest.py), and all of it fails where one is there at
# the end, or where the module can't be unloaded. Emulation is slow: tests of seconds take minutes, so what is about time or about the
# commands' texts alone is left to the suite on europad.
set -u
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../.." || exit 1
root=$PWD
O=${O:-build}
dir=$PWD/$O/vm
share=$dir/share
log=$O/check/vm.log
mkdir -p "$share" "$O/check"

passed=0 failed=0 skipped=0
failures=()
# What is no test's own failure is no matter of bad luck, and none of them is worth another try.
fail() { failed=$((failed + 1)); failures+=("$1"); printf '  FAIL  %s\n' "$1"; rm -f "$O/check/vm.failed"; }
skip()
{
	echo "virtual machine: $1" >"$O/check/vm.skips"
	printf '  SKIP  virtual machine: %s\n\n0 passed, 0 failed, 1 skipped\n' "$1"
	exit 77
}
finish()
{
	local line
	printf '%s\n' ${failures[@]+"${failures[@]}"} | grep . >"$O/check/vm.failures"
	echo
	for line in ${failures[@]+"${failures[@]}"}; do
		printf 'FAILED   %s\n' "$line"
	done
	printf '%s passed, %s failed, %s skipped\n' $passed $failed $skipped
	[ $failed = 0 ] && [ $passed -gt 0 ]
	exit
}

printf '\n== kernel module in a virtual machine\n'
: >"$O/check/vm.skips"
rm -f "$O/check/vm.unsteady"
for program in qemu-system-x86_64 /bin/busybox cpio modprobe sparse; do
	command -v $program >/dev/null || skip "$program is not installed"
done
release=$(tests/vm/kernel.sh "$dir" 2>"$log" | tail -n 1)
[ -n "$release" ] || skip "no kernel to boot: $(tail -n 1 "$log")"
echo "$release" >"$dir/release"
tests/vm/initrd.sh "$dir/initrd" "$dir/root" "$release" || { fail "no initial file system"; finish; }

module=$PWD/$O/kmod-$release
if ! tests/vm/module.sh "$module" "$dir/root/lib/modules/$release/build" >"$log" 2>&1; then
	fail "the module doesn't build without a warning, see $log"
	tail -n 30 "$log"
	finish
fi

# What the emulation can't judge: time, and a hundred turns of what takes minutes once; and what has nothing to do with the switch.
but="not hundred and not no_pool_of and not bad_statements and not within_a_second"
all=(tests/integration/test_{module,crowd,hostile,switch,sharing,death,l2switch,tcp,ipfwd,xdp,pool,quota,criu}.py
	tests/integration/test_checkpoint.py::test_{a_router_is_the_same_in_every_generation,packets_in_flight_are_forwarded_once}
	tests/integration/test_checkpoint.py::test_{packets_in_flight_arrive_in_order,established_tcp_survives,from_one_switch_to_the_other_and_back}
	tests/integration/test_checkpoint.py::test_{an_overloaded_vr,a_frozen_vr_is_refused,a_data_plane_that_does_not_answer,the_vr_ends_meanwhile})
criu=tests/integration/test_criu.py::test_under_traffic_nothing_is_doubled_and_what_is_lost_is_counted
# What is about the switch, and of what is about the images as much as shows that they run on it.
some=(tests/integration/test_{module,hostile,switch,sharing,death}.py
	tests/integration/test_l2switch.py::test_{learns_where_a_station_is,broadcast_and_multicast_go_to_every_other_port}
	tests/integration/test_tcp.py::test_{super_packets_pass_in_one_piece,a_wrong_checksum_stays_wrong}
	tests/integration/test_ipfwd.py::test_{pings_of_every_size_pass_in_one_piece_or_several,too_big_without_df_is_fragmented}
	tests/integration/test_xdp.py::test_pings_of_every_size_pass_in_one_piece_or_several
	tests/integration/test_pool.py::test_{a_full_pool_is_counted_and_recovers,thirty_two_vnics}
	tests/integration/test_checkpoint.py::test_packets_in_flight_{are_forwarded_once,arrive_in_order}
	"$criu"
	tests/integration/test_quota.py::test_an_idle_vr_with_the_same_quota_is_never_stopped)
case ${1-} in
"") tests=("${all[@]}" -k "$but") on_europad=(tests/integration/test_criu.py) ;;
--some) tests=("${some[@]}" -k "$but") on_europad=("$criu") ;;
*criu*) tests=("$@") on_europad=("$@") ;;
*) tests=("$@") on_europad=() ;;
esac
[ ${#on_europad[@]} = 0 ] || [ "${1-}" = --some ] || ${MAKE:-make} -s --no-print-directory FAULTS=1 faulty >"$log" 2>&1 ||
	{ fail "the programs that fail where they are told to don't build, see $log"; finish; }
pytest="/usr/bin/python3 -m pytest -p no:cacheprovider --tb=short -q -rs --durations=10"

cat >"$share/suite" <<END
cd $root
for m in veth bridge tun unix_diag inet_diag tcp_diag udp_diag raw_diag af_packet_diag netlink_diag; do modprobe \$m; done
insmod $module/europa.ko || exit 1
export EUROPA_SWITCH=kmod EUROPA_MODULE=$module/europa.ko EUROPA_TEST_DEADLINE=90 O=$O PYTHONDONTWRITEBYTECODE=1
$pytest --junit-xml=/vmshare/vm.xml ${tests[*]@Q}
rmmod europa && touch /vmshare/unloaded
[ ${#on_europad[@]} = 0 ] || EUROPA_SWITCH=user $pytest --junit-xml=/vmshare/europad.xml ${on_europad[*]@Q}
cp /proc/sys/kernel/tainted /vmshare/tainted
END
reports=("$share/vm.xml")
[ ${#on_europad[@]} = 0 ] || reports+=("$share/europad.xml")
rm -f "$share"/{vm.xml,europad.xml,unloaded,tainted}
boot()
{
	VM_SECONDS=$((${VM_SECONDS:-4500} - SECONDS)) tests/vm/boot "$dir" ". /vmshare/suite" 2>&1 | tee "$log" | sed 's/^/  /'
	return "${PIPESTATUS[0]}"
}
boot
# Seen once in some fifty runs: both CPUs took one exception after the other without end, when the kernel had just changed its own code (a
# tracepoint's). A deadlock looks otherwise, for then the kernel says where its CPUs are; it is not tried again.
if [ $? = 97 ]; then
	cp "$share/console" "$O/check/vm.stood-still"
	unsteady="the emulated machine stood still, without a word of the kernel: $O/check/vm.stood-still"
	printf '\n  %s\n  once more:\n' "$unsteady"
	echo "$unsteady" >"$O/check/vm.unsteady"
	boot
fi

counts=$(/usr/bin/python3 tests/junit.py "${reports[@]}" "$O/check/vm" 2>/dev/null)
if [ -z "$counts" ]; then
	fail "the suite did not finish, see $log"
	finish
fi
read -r passed failed skipped <<<"$counts"
mapfile -t failures <"$O/check/vm.failures"
[ -e "$share/unloaded" ] || fail "the module could not be unloaded"
# 128: the kernel died, 512: it warned. The rest says that the module is out of tree and not signed.
[ $(($(cat "$share/tainted") & (128 | 512))) = 0 ] || fail "the kernel has warned, see $share/dmesg"
if grep -E 'WARNING:|BUG:|Oops|unregister_netdevice: waiting|general protection|blocked for more than|rcu: INFO|refcount_t:' "$share/dmesg"; then
	fail "the kernel's log, see $share/dmesg"
fi
finish

#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/vm/debug/check.sh KERNEL [SUITE...]: the module and its core in a kernel with the checks switched on that Linux has for mistakes of its
# own. KERNEL is one of
#
#	uml      user-mode Linux: KASAN, lockdep, kmemleak, UBSAN, debug objects
#	kcsan    an emulated machine with two CPUs: KCSAN, which looks for data races
#
# Each suite is a boot of its own, because lockdep goes silent after its first report:
#
#	canary   mistakes of each kind, which the kernel must find: else the other suites' silence means nothing
#	unit     the core's unit tests (tests/unit), compiled into the kernel
#	failure  every verb of /dev/europa with each of its allocations failing in turn, frames that come in when there is no memory, and a sender
#	         that is later than the end of its device (uml)
#	fuzz     random programs of verbs, noise, lies, and what happens to devices meanwhile (uml)
#	module   the integration tests that are about the module, or $VM_TESTS
#
# Ends with one line, "N passed, N failed, N skipped"; exit status 0 only where nothing failed and something passed. A line of the
# kernel's that reports a mistake fails the suite, whatever the suite itself says.
#
#	FUZZ_PROGRAMS (500)  FUZZ_SEED (1)  VM_KERNEL (what kernel.sh builds)
set -u
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/../../.." || exit 1
root=$PWD
O=${O:-build}
case ${1-} in
uml)
	name=vm-debug arch=um fragments="small.config uml.config checks.config" suites="canary unit failure fuzz module"
	tests=tests/integration/test_module.py
	;;
kcsan)
	name=vm-kcsan arch=x86_64 fragments="small.config emulated.config kcsan.config" suites="canary unit module"
	tests="tests/integration/test_{module,switch,hostile,death}.py -k 'not hundred and not within_a_second'"
	;;
*)
	echo "check.sh: \"${1-}\" is no kernel; uml and kcsan are" >&2
	exit 2
	;;
esac
bed=$1
shift
dir=$root/$O/$name
share=$dir/share
logs=$root/$O/check
here=$root/tests/vm/debug
mkdir -p "$share" "$logs"

passed=0 failed=0 skipped=0
failures=()
pass() { passed=$((passed + 1)); printf '  ok    %s\n' "$1"; }
fail() { failed=$((failed + 1)); failures+=("$1"); printf '  FAIL  %s\n' "$1"; }
finish()
{
	local line
	echo
	for line in ${failures[@]+"${failures[@]}"}; do
		printf 'FAILED   %s\n' "$line"
	done
	printf '%s passed, %s failed, %s skipped\n' $passed $failed $skipped
	[ $failed = 0 ] && [ $passed -gt 0 ]
	exit
}

mistakes='WARNING:|BUG:|KASAN|UBSAN|INFO: |Oops|possible .* detected|suspicious RCU|bad unlock|inconsistent lock|ODEBUG|refcount_t:'
mistakes="$mistakes|unregister_netdevice: waiting|blocked for more than|list_(add|del) corruption|kernel BUG|Kernel panic"

# ---- building ----

# NAME: the kernel module in $dir/NAME. The fuzzer wants to know which of the module's code it has reached.
build()
{
	if ! make -s -C "$kernel" O= M="$dir/$1" ARCH=$arch UBSAN_SANITIZE=y KCOV_INSTRUMENT=y modules >"$logs/$name-$1.build" 2>&1; then
		fail "$1 doesn't build, see $logs/$name-$1.build"
		tail -n 20 "$logs/$name-$1.build"
		return 1
	fi
}

# A copy, so that objects of different kernels never meet.
build_module()
{
	mkdir -p "$dir/module"
	cp -a kmod/. "$dir/module/"
	EUROPA_VERSION=${EUROPA_VERSION:-0} build module
}

# NAME: of the bed's own.
build_own()
{
	mkdir -p "$dir/$1"
	cp -a "$here/$1/." "$dir/$1/"
	build "$1"
}

build_unit()
{
	"$here/unit/assemble.sh" "$dir/unit" >/dev/null && build unit
}

# ---- running ----

# COMMAND: as tests/vm/boot.
boot_uml() { "$here/boot" "$kernel" "$dir" "$1"; }
boot_kcsan() { tests/vm/initrd.sh "$dir/initrd" && VM_IMAGE=$kernel/vmlinux VM_APPEND=log_buf_len=4M tests/vm/boot "$dir" "$1"; }

# NAME SECONDS COMMAND: boots, runs it, keeps what was printed and the kernel's log. As COMMAND exits.
run()
{
	local status
	rm -f "$share"/{leaks,blind,suite.xml}
	printf '%s\n' "$3" >"$share/suite"
	VM_SECONDS=$2 "boot_$bed" "$here/session '. /vmshare/suite'" >"$logs/$name-$1.log" 2>&1
	status=$?
	cp "$share/dmesg" "$logs/$name-$1.dmesg" 2>/dev/null || : >"$logs/$name-$1.dmesg"
	return $status
}

# NAME: the kernel has found nothing, and was able to.
check_log()
{
	local said
	said=$(grep -E "$mistakes" "$logs/$name-$1.dmesg" | head -n 5; cat "$share/leaks" "$share/blind" 2>&1)
	if [ -n "$said" ]; then
		fail "$1: the kernel's log, see $logs/$name-$1.dmesg"
		printf '%s\n' "$said" | head -n 30 | sed 's/^/        /'
	else
		pass "$1: the kernel has nothing to say"
	fi
}

# NAME FILE: counts TAP, also where the kernel's log has it, indented and with times in front.
count_tap()
{
	local good bad
	good=$(grep -cE '^(\[ *[0-9.]+\]     )?ok [0-9]+' "$2")
	bad=$(grep -cE '^(\[ *[0-9.]+\]     )?not ok [0-9]+' "$2")
	passed=$((passed + good))
	if [ "$bad" != 0 ]; then
		failed=$((failed + bad))
		failures+=("$1: $bad failed, see $2")
		grep -E -B 3 'not ok' "$2" | head -n 40 | sed 's/^/        /'
	fi
	printf '  %-5s %s: %s passed, %s failed\n' "$([ "$bad" = 0 ] && echo ok || echo FAIL)" "$1" "$good" "$bad"
	[ "$good" -gt 0 ]
}

# What was seen in the kernel's log is one of its own mistakes.
saw()
{
	if grep -q "$1" "$logs/$name-canary.dmesg"; then pass "canary: $1"; else fail "canary: no \"$1\""; fi
}

canary_uml()
{
	run canary 120 "insmod $dir/canary/canary.ko"
	saw 'BUG: KASAN: use-after-free'
	saw 'UBSAN: shift-out-of-bounds'
	saw 'BUG: Invalid wait context'
	if grep -q 'unreferenced object.*size 2048' "$share/leaks"; then pass "canary: lost memory"; else fail "canary: lost memory isn't found"; fi
}

canary_kcsan()
{
	run canary 120 "insmod $dir/canary/race.ko"
	saw 'BUG: KCSAN: data-race in count \[race\] / count \[race\]'
}

suite_canary()
{
	build_own canary && "canary_$bed"
}

suite_unit()
{
	build_unit || return
	run unit 600 "insmod $dir/unit/europa_unit.ko && rmmod europa_unit" || fail "unit: exit status $?, see $logs/$name-unit.log"
	count_tap unit "$logs/$name-unit.dmesg" || fail "unit: no test has run"
	check_log unit
}

suite_failure()
{
	build_module && build_own shared && build_own late || return
	run failure 600 "insmod $dir/module/europa.ko
CMOCKA_MESSAGE_OUTPUT=TAP $root/$O/tests/vm_failure_test $dir/shared/shared.ko $dir/late/late.ko; rmmod europa" ||
		fail "failure: the module can't be unloaded, see $logs/$name-failure.log"
	count_tap failure "$logs/$name-failure.log" || fail "failure: no test has run, see $logs/$name-failure.log"
	check_log failure
}

suite_fuzz()
{
	build_module || return
	if run fuzz 900 "insmod $dir/module/europa.ko && $root/$O/tests/vm_fuzz ${FUZZ_PROGRAMS:-500} ${FUZZ_SEED:-1} && rmmod europa"; then
		pass "$(grep '^fuzz: seed' "$logs/$name-fuzz.log")"
	else
		fail "fuzz: exit status $?, see $logs/$name-fuzz.log"
	fi
	check_log fuzz
}

suite_module()
{
	local counts good bad skips
	build_module || return
	run module 5400 "cd $root && insmod $dir/module/europa.ko &&
export EUROPA_SWITCH=kmod EUROPA_MODULE=$dir/module/europa.ko EUROPA_TEST_DEADLINE=90 O=$O PYTHONDONTWRITEBYTECODE=1
/usr/bin/python3 -m pytest -p no:cacheprovider --tb=short -q -rs --durations=5 --junit-xml=/vmshare/suite.xml \\
	${VM_TESTS:-$tests}
rmmod europa" || fail "module: can't be unloaded, see $logs/$name-module.log"
	counts=$(/usr/bin/python3 tests/junit.py "$share/suite.xml" "$logs/$name" 2>/dev/null)
	if [ -z "$counts" ]; then
		fail "module: the suite did not finish, see $logs/$name-module.log"
		return
	fi
	read -r good bad skips <<<"$counts"
	passed=$((passed + good)) failed=$((failed + bad)) skipped=$((skipped + skips))
	mapfile -t -O ${#failures[@]} failures <"$logs/$name.failures"
	printf '  %-5s module: %s passed, %s failed, %s skipped\n' "$([ "$bad" = 0 ] && echo ok || echo FAIL)" "$good" "$bad" "$skips"
	check_log module
}

printf '\n== kernel module in a debug kernel: %s\n' "$bed"
kernel=${VM_KERNEL:-$("$here/kernel.sh" "$arch" $fragments 2>"$logs/$name-kernel.log")}
if [ -z "$kernel" ]; then
	fail "there is no debug kernel, see $logs/$name-kernel.log"
	finish
fi
for suite in ${*:-$suites}; do
	"suite_$suite"
done
finish

#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/check.sh SUITE...: runs the suites that `make check` is made of, and ends with one line that sums up all of them:
#
#	N passed, N failed, N skipped
#
# Exit status 0 only where nothing failed and something passed. Whatever is skipped says so, with the reason, again at the end.
#
# Up to $RETRIES (3) tests that fail on network namespaces, or in the emulated machine, are run once more, alone: who else uses the machine
# may have been in the way. If all of them pass they count as passed, and are named at the end as unsteady, each with its first failure.
# So is an emulated machine that stood still and was booted again.
#
#   unit         the cmocka programs in $UNIT_TESTS
#   san          the same under AddressSanitizer and UBSan; $TSAN_TESTS under ThreadSanitizer
#   fuzz         each fuzzer in $FUZZERS, its corpus and then $FUZZ_SECONDS of new input
#   checks       what can be checked without running the product (tests/checks.sh)
#   integration  pytest: the product itself, in network namespaces
#   vm           some of the same on the kernel module, in an emulated machine (tests/vm/check.sh), within $VM_SECONDS
set -u
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.." || exit 1

O=${O:-build}
MAKE=${MAKE:-make}
FUZZ_SECONDS=${FUZZ_SECONDS:-15}
RETRIES=${RETRIES:-3}
PYTHON=/usr/bin/python3
out=$O/check
mkdir -p "$out"

passed=0 failed=0 skipped=0
failures=() skips=() unsteady=()

pass() { passed=$((passed + 1)); printf '  ok    %s\n' "$1"; }
fail() { failed=$((failed + 1)); failures+=("$1"); printf '  FAIL  %s\n' "$1"; }
skip() { skipped=$((skipped + 1)); skips+=("$1: $2"); printf '  SKIP  %s: %s\n' "$1" "$2"; }
title() { printf '\n== %s\n' "$1"; }
show() { sed 's/^/        /' "$1" | tail -n "${2:-40}"; }

# TITLE LOG STATUS: counts the lines of a TAP log. A program that died, or that failed without saying where, is a failure too.
count_tap()
{
	local title=$1 log=$2 status=$3 good bad skips_here line

	# cmocka says "not ok N # SKIP name", others "ok N # SKIP".
	skips_here=$(grep -ciE '^(not )?ok\b.*# *skip' "$log")
	good=$(grep -E '^ok\b' "$log" | grep -cviE '# *skip')
	bad=$(grep -E '^not ok\b' "$log" | grep -cviE '# *skip')
	if [ "$status" != 0 ] && [ "$bad" = 0 ]; then
		bad=1
		printf 'not ok: exit status %s\n' "$status" >>"$log"
	elif [ "$status" = 0 ] && [ $((good + bad + skips_here)) = 0 ]; then
		good=1          # no TAP: one test, which passed
	fi
	passed=$((passed + good))
	failed=$((failed + bad))
	while read -r line; do
		skip "$title" "${line#*# }"
	done < <(grep -iE '^(not )?ok\b.*# *skip' "$log")
	if [ "$bad" != 0 ]; then
		failures+=("$title: $bad failed, see $log")
		printf '  FAIL  %s: %s passed, %s failed\n' "$title" "$good" "$bad"
		show "$log"
	else
		printf '  ok    %s: %s passed\n' "$title" "$good"
	fi
}

# PREFIX PROGRAM [WRAPPER...]
run_unit()
{
	local program=$2 name log status
	name=$1${program##*/}
	log=$out/${name//[ \/]/-}.tap
	shift 2
	CMOCKA_MESSAGE_OUTPUT=TAP timeout -k 5 300 "$@" "$program" >"$log" 2>&1 </dev/null
	status=$?
	count_tap "$name" "$log" $status
}

suite_unit()
{
	title "unit tests"
	local program
	for program in $UNIT_TESTS; do
		run_unit "" "$program"
	done
}

# SANITIZER TARGET: builds under build/SANITIZER.
build_san()
{
	local log=$out/build-$1.log
	if ! $MAKE --no-print-directory -j"$(nproc)" SAN="$1" "$2" >"$log" 2>&1; then
		fail "build with SAN=$1"
		show "$log"
		return 1
	fi
}

suite_san()
{
	local program no_aslr=
	title "unit tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	export ASAN_OPTIONS=detect_stack_use_after_return=1:strict_string_checks=1
	export UBSAN_OPTIONS=print_stacktrace=1
	if build_san address unit-programs; then
		for program in $UNIT_TESTS; do
			run_unit "address " "build/address/${program#"$O"/}"
		done
	fi
	title "stress under ThreadSanitizer"
	# The sanitizer's shadow memory does not fit beside a fully randomised address space.
	setarch "$(uname -m)" -R true 2>/dev/null && no_aslr="setarch $(uname -m) -R"
	if [ -z "$TSAN_TESTS" ]; then
		fail "no program in TSAN_TESTS"
	elif build_san thread tsan-programs; then
		for program in $TSAN_TESTS; do
			run_unit "thread " "build/thread/${program#"$O"/}" $no_aslr
		done
	fi
}

suite_fuzz()
{
	local name log corpus extra
	title "fuzzers, $FUZZ_SECONDS s each"
	export ASAN_OPTIONS=detect_leaks=1
	for name in $FUZZERS; do
		log=$PWD/$out/fuzz-$name.log
		corpus=$out/corpus/$name
		mkdir -p "$corpus" "$out/crash"
		extra=
		[ -f "tests/fuzz/$name.dict" ] && extra="-dict=tests/fuzz/$name.dict"
		[ -f "tests/fuzz/$name.options" ] && extra="$extra $(cat "tests/fuzz/$name.options")"
		if timeout -k 10 $((FUZZ_SECONDS * 3 + 60)) "$O/fuzz/$name" -max_total_time="$FUZZ_SECONDS" -timeout=10 \
			-rss_limit_mb=2048 -print_final_stats=1 -artifact_prefix="$out/crash/$name-" $extra \
			"$corpus" $(ls -d "tests/fuzz/corpus/$name" 2>/dev/null) >"$log" 2>&1 </dev/null; then
			pass "fuzz $name: $(sed -n 's/^stat::number_of_executed_units: *//p' "$log") inputs"
		else
			fail "fuzz $name, see $log and $out/crash/"
			show "$log" 30
		fi
	done
}

suite_checks()
{
	local log name verdict reason
	title "checks"
	for name in $(tests/checks.sh --list); do
		log=$out/check-$name.log
		timeout -k 5 300 tests/checks.sh "$name" >"$log" 2>&1 </dev/null
		case $? in
		0) pass "$name" ;;
		77) skip "$name" "$(tail -n 1 "$log")" ;;
		*) fail "$name"; show "$log" ;;
		esac
	done
}

# NAME BAD COMMAND...: BAD tests of NAME have failed, which are in $out/NAME.failed. COMMAND runs those that are named to it. None is
# named where something else failed as well, the kernel's log for example: that is final.
retry()
{
	local name=$1 bad=$2 tests first
	shift 2
	touch "$out/$name.failed"
	mapfile -t tests <"$out/$name.failed"
	mapfile -t first <"$out/$name.failures"
	if [ ${#tests[@]} -gt 0 ] && [ ${#tests[@]} -le "$RETRIES" ] && printf '\n  once more, alone:\n' && "$@" "${tests[@]}"; then
		passed=$((passed + ${#tests[@]}))
		unsteady+=("${first[@]}")
	else
		failed=$((failed + bad))
		failures+=("${first[@]}")
	fi
}

# SECONDS LOG ARGUMENTS...: as pytest exits.
run_pytest()
{
	local seconds=$1 log=$2
	shift 2
	timeout -k 30 "$seconds" $PYTHON -m pytest -p no:cacheprovider -q --tb=short "$@" </dev/null 2>&1 | tee "$log" | sed 's/^/  /'
	return "${PIPESTATUS[0]}"
}

# SECONDS ARGUMENTS...
run_vm()
{
	O=$O VM_SECONDS=$1 tests/vm/check.sh "${@:2}" </dev/null
}

suite_integration()
{
	local xml=$out/integration.xml log=$out/integration.log counts
	title "integration tests"
	if [ "$(id -u)" != 0 ]; then
		skip "integration" "needs root: network namespaces, mounts, cgroups"
		return
	fi
	rm -f "$xml"
	run_pytest 1500 "$log" tests/integration --junit-xml="$xml" -rs --durations=10 ${PYTEST_ARGS:-}
	counts=$($PYTHON tests/junit.py "$xml" "$out/integration")
	if [ -z "$counts" ]; then
		fail "integration: pytest did not finish, see $log"
		return
	fi
	read -r good bad skipped_here <<<"$counts"
	passed=$((passed + good))
	skipped=$((skipped + skipped_here))
	mapfile -t -O ${#skips[@]} skips <"$out/integration.skips"
	[ "$bad" = 0 ] || retry integration "$bad" run_pytest 600 "$out/again.log"
}

# It counts for itself, and ends with the same line.
suite_vm()
{
	local log=$out/vm-suite.log good bad skipped_here
	if [ "$(id -u)" != 0 ]; then
		title "kernel module in a virtual machine"
		skip "virtual machine" "needs root: the guest runs on this machine's files"
		return
	fi
	rm -f "$out"/vm.{failures,failed}
	run_vm "${VM_SECONDS:-1020}" --some 2>&1 | tee "$log"
	read -r good bad skipped_here < <(tail -n 1 "$log" | sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed, \([0-9]*\) skipped$/\1 \2 \3/p')
	if [ -z "${skipped_here:-}" ]; then
		fail "virtual machine: it ended without a verdict, see $log"
		return
	fi
	passed=$((passed + good))
	skipped=$((skipped + skipped_here))
	mapfile -t -O ${#skips[@]} skips <"$out/vm.skips"
	[ ! -e "$out/vm.unsteady" ] || mapfile -t -O ${#unsteady[@]} unsteady <"$out/vm.unsteady"
	[ "$bad" = 0 ] || retry vm "$bad" run_vm 400
}

trap 'echo "interrupted"; exit 130' INT TERM
UNIT_TESTS=${UNIT_TESTS:-} TSAN_TESTS=${TSAN_TESTS:-} FUZZERS=${FUZZERS:-}
for suite in "$@"; do
	"suite_$suite"
done

echo
for line in ${skips[@]+"${skips[@]}"}; do
	printf 'SKIPPED  %s\n' "$line"
done
for line in ${unsteady[@]+"${unsteady[@]}"}; do
	printf 'UNSTEADY %s\n' "$line"
done
for line in ${failures[@]+"${failures[@]}"}; do
	printf 'FAILED   %s\n' "$line"
done
printf '%s passed, %s failed, %s skipped\n' $passed $failed $skipped
[ $failed = 0 ] && [ $passed -gt 0 ]

#!/bin/bash
# SPDX-License-Identifier: MIT
#
# tests/checks.sh --list | NAME: one check of the tree, of what can be seen without running the product. Exit status 0: good,
# 77: can't be done here (the last line says why), else: what is wrong was printed.
set -u
export LC_ALL=C.UTF-8
cd "$(dirname "$0")/.." || exit 1
O=${O:-build}

# Files of the tree whose names match one of the patterns (none: all), in a checkout or unpacked from an archive.
sources()
{
	local file pattern
	{ git ls-files 2>/dev/null || find . \( -path ./build -o -path ./image -o -path ./.git \) -prune -o -type f -print | sed 's|^\./||'; } |
		while read -r file; do
			[ -f "$file" ] || continue
			[ $# -gt 0 ] || echo "$file"
			for pattern in "$@"; do
				# shellcheck disable=SC2254
				case "$file" in $pattern) echo "$file" ;; esac
			done
		done
}
wrong=0
complain() { printf '%s\n' "$*"; wrong=1; }

# The contract and the library's header are C and C++, by themselves, without a warning.
check_headers_are_c_and_cplusplus()
{
	local header
	for header in kmod/uapi/linux/europa.h shim/europa.h; do
		cc -x c -std=c99 -Wall -Wextra -Wshadow -Werror -D_GNU_SOURCE -Ikmod/uapi -Ikmod -I. -fsyntax-only "$header" ||
			complain "C: $header"
		c++ -x c++ -std=c++11 -Wall -Wextra -Wshadow -Werror -Ikmod/uapi -Ikmod -I. -fsyntax-only "$header" ||
			complain "C++: $header"
	done
}

# Every file that the documents name is there.
check_documents_name_what_exists()
{
	local document name
	for document in README.md CONTRIBUTING.md docs/*.md; do
		[ -f "$document" ] || { complain "$document is missing"; continue; }
		for name in $(grep -oE '`[A-Za-z0-9_./-]+`' "$document" | tr -d '`' |
				grep -E '^(kmod|runtime|shim|images|cgroups|tests|docs|\.ci)/' | sort -u); do
			[ -e "$name" ] || complain "$document: $name does not exist"
		done
	done
}

# The data plane in the README is the one that is built and run by the tests.
check_readme_shows_the_example()
{
	sed -n '/^```c$/,/^```$/p' README.md | grep -v '^```' >"$O/check/readme.c"
	sed '/^\(\/\/\|\/\*\)/d' shim/example/forward.c | diff "$O/check/readme.c" - || complain "README.md and shim/example/forward.c differ"
}

# docs/reading.md leaves out no source file of the paths that it describes.
check_reading_is_complete()
{
	local file
	for file in kmod/*.c kmod/core/*.c kmod/core/*.h runtime/*.c runtime/engine/*.c cgroups/*.c shim/*.c; do
		[ -e "$file" ] && [ "${file%.mod.c}" = "$file" ] || continue
		grep -qF "\`$file\`" docs/reading.md || complain "docs/reading.md doesn't mention $file"
	done
}

check_man_pages()
{
	local page
	command -v man >/dev/null || { echo "man is not installed"; exit 77; }
	set -- docs/man/*.[1-9]
	[ -e "$1" ] || { complain "there are no man pages in docs/man"; return; }
	for page in "$@"; do
		MANROFFSEQ='' MANWIDTH=80 man --warnings -E UTF-8 -l -Tutf8 -Z "$page" 2>&1 >/dev/null | grep . && complain "$page"
	done
}

# Licence first, no trailing blanks, lines that fit, names that mean something.
check_style()
{
	local file widest
	for file in $(sources '*.c' '*.h' '*.sh' '*.py'); do
		head -n 2 "$file" | grep -q SPDX-License-Identifier || complain "$file: no licence line on top"
		grep -nE '[[:blank:]]+$' "$file" /dev/null && complain "$file: trailing blanks"
		widest=150
		# Tables of cases read as tables.
		case "$file" in tests/unit/*) widest=170 ;; esac
		expand -t 8 "$file" | awk -v f="$file" -v w="$widest" 'length > w { print f ":" NR ": " length " columns" }' | grep . &&
			complain "$file: too wide"
		case "$(basename "$file")" in
		*util* | *common* | *misc* | *helper*) complain "$file: a name that says nothing" ;;
		esac
	done
}

# The module builds without a warning of the compiler or of sparse, for each kernel whose headers are installed, or have been unpacked to
# boot it (tests/vm/kernel.sh); also under a make that was told O=, which Kbuild has another meaning for.
check_kernel_module_builds()
{
	local build release none=1
	command -v sparse >/dev/null || { echo "sparse is not installed"; exit 77; }
	for build in {/lib/modules,"$PWD/$O/vm/root/lib/modules"}/*/build; do
		[ -e "$build/Module.symvers" ] || continue
		none=
		release=$(basename "$(dirname "$build")")
		MAKEFLAGS="O=$O" tests/vm/module.sh "$O/kmod-$release" "$build" || complain "for $release"
	done
	[ -z "$none" ] || { echo "no kernel's headers are installed"; exit 77; }
}

# Where checkpatch.pl is: on the PATH, in a kernel that make check-vm-debug has built, or in the source's package, out of which it is taken once.
find_checkpatch()
{
	local file archive out="$O/check/checkpatch"
	for file in "$(command -v checkpatch.pl)" "${XDG_CACHE_HOME:-$HOME/.cache}"/europa/kernels/*/scripts/checkpatch.pl \
			"$out/scripts/checkpatch.pl"; do
		[ ! -f "$file" ] || { echo "$file"; return; }
	done
	archive=$(ls /usr/src/linux-source-*.tar.xz 2>/dev/null | tail -n 1)
	[ -n "$archive" ] || return
	mkdir -p "$out" && tar -C "$out" --strip-components 1 --wildcards -xJf "$archive" '*/scripts/checkpatch.pl' '*/scripts/spelling.txt' \
		'*/scripts/const_structs.checkpatch' && echo "$out/scripts/checkpatch.pl"
}

# What checkpatch.pl says and is not to be followed. Everywhere: how wide lines are is check_style's, and the core and the contract are user mode's
# as well, where there is no BIT().
checkpatch_exceptions()
{
	echo LONG_LINE,LONG_LINE_COMMENT,LONG_LINE_STRING,BIT_MACRO
	case "$1" in
	kmod/compat.h) echo LINUX_VERSION_CODE,CONSTANT_COMPARISON ;;           # what it is for
	kmod/trace.h) echo OPEN_ENDED_LINE,PARENTHESIS_ALIGNMENT ;;             # TRACE_EVENT is written so
	kmod/core/env.h) echo AVOID_EXTERNS,FUNCTION_ARGUMENTS,MEMORY_BARRIER,COMPLEX_MACRO ;;  # the kernel's words, made for user mode
	kmod/core/classify.c) echo REPEATED_WORD ;;                             # struct key key
	kmod/uapi/linux/europa.h) echo LINE_SPACING,CAMELCASE,COMPLEX_MACRO ;;  # __extension__ union, _Static_assert
	esac
}

# The kernel's own judge of style, on what would go into a kernel.
check_kernel_style()
{
	local checkpatch file
	command -v perl >/dev/null || { echo "perl is not installed"; exit 77; }
	checkpatch=$(find_checkpatch)
	[ -n "$checkpatch" ] || { echo "checkpatch.pl is in Debian's linux-source-6.1 only, which is not installed"; exit 77; }
	for file in $(sources 'kmod/*.[ch]'); do
		perl "$checkpatch" --no-tree --strict --terse --show-types --no-summary \
			--ignore "$(checkpatch_exceptions "$file" | paste -sd,)" -f "$file" || complain "$file"
	done
	rm -f .checkpatch-camelcase.*           # where it keeps names that it has seen
}

# What the core's unit tests ask of a C library and of cmocka is there in a kernel as well: make check-vm-debug runs them in one.
check_core_tests_compile_in_a_kernel()
{
	local kernel tests
	kernel=$(ls -d /lib/modules/*/build 2>/dev/null | head -n 1)
	[ -n "$kernel" ] || { echo "no kernel's headers are installed"; exit 77; }
	tests=$(tests/vm/debug/unit/assemble.sh "$O/check/unit-kernel") || { complain "tests/vm/debug/unit/assemble.sh"; return; }
	# shellcheck disable=SC2086
	make -s -C "$kernel" M="$PWD/$O/check/unit-kernel" KCFLAGS=-Werror $(printf '%s_test.o ' $tests) || complain "for $kernel"
}

# Shell and Python read without complaint.
check_scripts_parse()
{
	local file
	for file in $(sources '*.sh') .ci/run; do
		bash -n "$file" || complain "$file"
	done
	/usr/bin/python3 -c 'import ast, sys
for name in sys.argv[1:]:
    ast.parse(open(name).read(), name)' $(sources '*.py') || complain "Python"
}

# The model of who wakes whom (tests/model/), as it is and with each part taken out.
check_no_wakeup_is_lost()
{
	tests/model/check.sh
	case $? in 0) ;; 77) exit 77 ;; *) wrong=1 ;; esac
}

# Every licence that a file names is in the tree.
check_licences()
{
	local id
	[ -s LICENSE ] || complain "LICENSE is missing"
	for id in $(sources | xargs grep -hoE 'SPDX-License-Identifier: .*' 2>/dev/null | sed 's/.*: //; s/\*\/.*//' | tr -d '()' |
			sed 's/ \(OR\|AND\|WITH\) /\n/g' | sed 's/["'\''].*//; s/ *$//' | grep -E '^[A-Za-z0-9.-]+$' | sort -u); do
		[ "$id" = SPDX-License-Identifier ] || [ -s "LICENSES/$id.txt" ] || complain "LICENSES/$id.txt is missing"
	done
}

if [ "${1:-}" = --list ]; then
	declare -F | sed -n 's/^declare -f check_//p'
	exit
fi
mkdir -p "$O/check"
"check_$1"
exit $wrong

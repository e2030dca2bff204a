# Tests, measurements and what they need. tests/check.sh has the order and the counting, tests/bench/bench.py the measuring.

# The unit tests that run threads against each other are run under ThreadSanitizer as well.
TSAN_TESTS := $(foreach t,$(UNIT_TESTS),$(if $(findstring stress,$(notdir $(t))),$(t)))
FUZZERS := $(sort $(notdir $(FUZZERS)))
FUZZ_PROGRAMS := $(FUZZERS:%=$(O)/fuzz/%)

unit-programs: $(UNIT_TESTS)
tsan-programs: $(TSAN_TESTS)
fuzz-programs: $(FUZZ_PROGRAMS)

# What only tests and measurements run. (udpgen, recvfrom_fwd and super_fwd are described in docs/performance.md.)
$(eval $(call program,tests/udpgen,tests/bench/udpgen.c,-lpthread))
$(eval $(call program,tests/prefixes,tests/bench/prefixes.c,))
$(eval $(call program,tests/recvfrom_fwd,tests/bench/recvfrom_fwd.c,))
$(eval $(call program,tests/super_fwd,tests/bench/super_fwd.c,-lpthread))
$(eval $(call program,tests/tcpstream,tests/integration/tcpstream.c,-lpthread))
$(eval $(call program,tests/cycles,tests/bench/cycles.c,))
$(O)/tests/cycles: $(O)/lib/libcore.a
$(eval $(call program,tests/latency,tests/bench/latency.c,-lpthread))
$(eval $(call static_program,tests/neighbour,tests/integration/neighbour.c,))
$(O)/tests/neighbour: $(O)/lib/libeuropa.a
$(eval $(call static_program,tests/hostile,tests/integration/hostile.c,))
$(eval $(call static_program,tests/exit0,tests/bench/exit0.c,))
$(eval $(call static_program,tests/probe,tests/integration/probe.c,))
$(eval $(call static_program,tests/hoarder,tests/integration/hoarder.c,))
$(O)/tests/hoarder: $(O)/lib/libeuropa.a
INTEGRATION_PROGRAMS := $(addprefix $(O)/tests/,udpgen tcpstream hostile probe neighbour latency hoarder crowd)
# With FAULTS=1: what is told to fail, or killed, at one step after the other.
FAULTY := $(addprefix $(O)/bin/,criu/europa-enter.so europa europa-init europad europa-run europa-checkpoint europa-restore)
faulty: $(FAULTY)
BENCH_PROGRAMS += $(addprefix $(O)/tests/,udpgen prefixes recvfrom_fwd super_fwd exit0 latency cycles neighbour hostile)

CHECK = $(Q)O='$(O)' MAKE='$(MAKE)' UNIT_TESTS='$(UNIT_TESTS)' TSAN_TESTS='$(TSAN_TESTS)' \
        FUZZERS='$(FUZZERS)' tests/check.sh

# Packages first, in a make of their own: the fragments may ask pkg-config while they are read.
check: check-deps
	$(Q)$(MAKE) --no-print-directory -j$$(nproc) check-programs
	$(Q)$(MAKE) --no-print-directory check-all
check-programs: all unit-programs fuzz-programs $(INTEGRATION_PROGRAMS) $(O)/tests/vr_driver
check-all: check-programs
	$(CHECK) unit san fuzz checks integration vm
check-unit: unit-programs
	$(CHECK) unit
check-san:
	$(CHECK) san
check-fuzz: fuzz-programs
	$(CHECK) fuzz
check-static: all
	$(CHECK) checks
check-integration: all $(INTEGRATION_PROGRAMS)
	$(CHECK) integration

bench: bench-deps
	$(Q)$(MAKE) --no-print-directory bench-all
bench-all: all $(BENCH_PROGRAMS)
	$(Q)/usr/bin/python3 tests/bench/bench.py --build '$(O)' $(BENCH_ARGS)

# The same with pictures: FIGURES='wakeup isolation', or all of them.
figures: bench-deps
	$(Q)$(MAKE) --no-print-directory figures-all
figures-all: all $(BENCH_PROGRAMS)
	$(Q)/usr/bin/python3 tests/bench/figures --build '$(O)' $(BENCH_ARGS) $(FIGURES)

# This tree's commands, manual pages and completion where a shell finds them, without installing.
SHELL_FINDS = $(BINDIR)/% $(MANDIR)/% $(COMPLETIONDIR)/%
LINKED       = $(foreach f,$(INSTALL),$(if $(filter $(SHELL_FINDS),$(lastword $(subst :, ,$(f)))),$(f)))
LINKED_LINKS = $(foreach l,$(INSTALL_LINKS),$(if $(filter $(SHELL_FINDS),$(lastword $(subst :, ,$(l)))),$(l)))
link: all
	$(Q)set -e; for f in $(LINKED); do f=$${f#*:}; \
		mkdir -p "$$(dirname "$${f#*:}")"; ln -sfn "$$(realpath "$${f%%:*}")" "$${f#*:}"; done; \
	for l in $(LINKED_LINKS); do ln -sfn "$${l%%:*}" "$${l#*:}"; done
unlink:
	$(Q)for f in $(LINKED_LINKS) $(LINKED); do \
		case "$$(readlink -m "$${f##*:}")" in "$(CURDIR)"/* | "$(abspath $(O))"/*) rm -f "$${f##*:}" ;; esac; done

.PHONY: check check-programs check-all check-unit check-san check-fuzz check-static check-integration bench bench-all figures figures-all link unlink \
        unit-programs tsan-programs fuzz-programs faulty

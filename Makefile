# Europa: one Makefile for the whole tree. Each directory lists its own parts in a build.mk.
#
#   make                build everything into build/ and image/
#   sudo make demo      install what is missing, build, show a virtual router forward packets
#   sudo make check     install what is missing, build, run every test this machine can run
#   make help           the rest

VERSION := 0.1.0

O        ?= build
PREFIX   ?= /usr/local
BINDIR   ?= $(PREFIX)/bin
SBINDIR  ?= $(PREFIX)/sbin
LIBDIR   ?= $(PREFIX)/lib
LIBEXECDIR ?= $(PREFIX)/libexec/europa
INCLUDEDIR ?= $(PREFIX)/include
MANDIR   ?= $(PREFIX)/share/man
COMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
UNITDIR  ?= $(PREFIX)/lib/systemd/system
IMAGEDIR ?= $(LIBDIR)/europa/image

CC       ?= cc
OPT      ?= -O2 -g
WARN     := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
            -Wpointer-arith -Wvla -Wno-unused-parameter
CFLAGS   ?= $(OPT)
# Everything includes the contract as <linux/europa.h> and the core as "core/...".
CPPFLAGS += -D_GNU_SOURCE -DEUROPA_VERSION='"$(VERSION)"' \
            -DEUROPA_LIBEXECDIR='"$(LIBEXECDIR)"' -DEUROPA_IMAGEDIR='"$(IMAGEDIR)"' \
            -Ikmod/uapi -Ikmod -I.
ALL_CFLAGS = -std=gnu11 -fno-strict-aliasing $(WARN) $(CFLAGS) $(SAN_CFLAGS)

# make SAN=address builds into build/address with AddressSanitizer and UBSan; SAN=thread likewise.
SAN      ?=
ifneq ($(SAN),)
O        := build/$(SAN)
SAN_CFLAGS.address := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
# A fence is executed but not modelled: no test may need one to tell a race from order.
SAN_CFLAGS.thread  := -fsanitize=thread -fno-omit-frame-pointer -Wno-tsan
SAN_CFLAGS := $(SAN_CFLAGS.$(SAN))
ifeq ($(SAN_CFLAGS),)
$(error SAN=$(SAN): not a sanitizer build that exists; use SAN=address or SAN=thread)
endif
endif

# make FAULTS=1 builds into build/faults what fails at the step that $EUROPA_FAULT names (runtime/fault.h).
FAULTS   ?=
ifneq ($(FAULTS),)
O        := build/faults
CPPFLAGS += -DEUROPA_FAULTS
endif

# Quiet unless V=1.
ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

.DEFAULT_GOAL := all
.SECONDARY:
.DELETE_ON_ERROR:

objs = $(patsubst %.c,$(O)/obj/%.o,$(1))

# $(call program,PATH-UNDER-$(O),SOURCES,LIBS): one dynamically linked program.
define program
$(O)/$(1): $(call objs,$(2))
	$$(say) LD $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) $$(ALL_CFLAGS) $$(LDFLAGS) -o $$@ $$(filter %.o %.a,$$^) $(3)
DEPS += $(patsubst %.o,%.d,$(call objs,$(2)))
endef

# $(call static_program,PATH-UNDER-$(O),SOURCES,LIBS): the same, static, for what runs inside a VR.
# Built without sanitizers, which cannot be linked statically.
define static_program
$(O)/$(1): $(patsubst %.c,$(O)/sobj/%.o,$(2))
	$$(say) LD $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CC) -std=gnu11 $$(CFLAGS) $$(LDFLAGS) -static -o $$@ $$(filter %.o %.a,$$^) $(3)
DEPS += $(patsubst %.c,$(O)/sobj/%.d,$(2))
endef

# $(call archive,PATH-UNDER-$(O),SOURCES): a static library.
define archive
$(O)/$(1): $(call objs,$(2))
	$$(say) AR $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)rm -f $$@ && $$(AR) rcs $$@ $$^
DEPS += $(patsubst %.o,%.d,$(call objs,$(2)))
endef

# Lists that the fragments add to.
BUILD   :=      # what `make` builds
UNIT_TESTS :=   # cmocka programs, run by `make check-unit`
FUZZERS :=      # libFuzzer programs, each with a corpus in tests/fuzz/corpus/NAME
INSTALL :=      # MODE:SOURCE:DESTINATION triples, the one list that install and uninstall read
INSTALL_LINKS := # TARGET:LINK pairs

include tests/fuzz/build.mk
include kmod/core/build.mk
include cgroups/build.mk
include shim/build.mk
include runtime/build.mk
include runtime/engine/build.mk
include images/build.mk
include tests/build.mk
include docs/build.mk
include kmod/build.mk

all: $(BUILD)

$(O)/obj/%.o: %.c
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) $(CPPFLAGS) $(CPPFLAGS_$*) $(CFLAGS_$*) -MMD -MP -c -o $@ $<

$(O)/sobj/%.o: %.c
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -fno-strict-aliasing $(WARN) $(CFLAGS) $(CPPFLAGS) $(CPPFLAGS_$*) $(CFLAGS_$*) -MMD -MP -c -o $@ $<

# What knows where things are installed is made anew where that changes: `make && make install PREFIX=...` is what everybody types.
$(O)/places: FORCE
	$(Q)mkdir -p $(@D)
	$(Q)echo '$(LIBEXECDIR) $(IMAGEDIR)' | cmp -s - $@ || echo '$(LIBEXECDIR) $(IMAGEDIR)' >$@
$(patsubst %,$(O)/obj/runtime/%.o,image backend init completion): $(O)/places

-include $(DEPS)

# Packages first, then a make of its own: the fragments may ask pkg-config while they are read.
demo: deps
	$(Q)$(MAKE) --no-print-directory all
	$(Q)tests/demo.sh

# Packages: what building, testing and measuring need. Installs only what is missing.
BUILD_PKGS := gcc make pkg-config libc6-dev linux-libc-dev libcap-dev libseccomp-dev libcgroup-dev \
              libjansson-dev libmnl-dev libpcap-dev nettle-dev iproute2
DEMO_PKGS  := iputils-ping iperf3 jq traceroute
TEST_PKGS  := g++ clang libclang-rt-14-dev libcmocka-dev python3-pytest python3-scapy tcpdump ethtool \
              iputils-arping libcap2-bin bash-completion man-db procps util-linux spin criu strace
BENCH_PKGS := dpdk dpdk-dev python3 crun bubblewrap gnuplot-nox

deps:
	$(Q)tests/deps.sh $(BUILD_PKGS) $(DEMO_PKGS)
check-deps:
	$(Q)tests/deps.sh $(BUILD_PKGS) $(DEMO_PKGS) $(TEST_PKGS)
	$(Q)tests/deps.sh $(VM_PKGS) || echo "check: the kernel module is not going to be tested"
bench-deps:
	$(Q)tests/deps.sh $(BUILD_PKGS) $(DEMO_PKGS) $(BENCH_PKGS)
	$(Q)tests/deps.sh linux-perf || echo "bench: a packet's cycles are not going to be measured by stage"

# One list of installed files feeds install and uninstall; of the directories, those of Europa alone go with the last file in them.
install: all
	$(Q)set -e; for f in $(INSTALL); do \
		mode=$${f%%:*}; f=$${f#*:}; install -D -m "$$mode" "$${f%%:*}" "$(DESTDIR)$${f#*:}"; \
	done; \
	for l in $(INSTALL_LINKS); do \
		mkdir -p "$(DESTDIR)$$(dirname "$${l#*:}")"; ln -sfn "$${l%%:*}" "$(DESTDIR)$${l#*:}"; \
	done
uninstall:
	$(Q)for f in $(INSTALL); do f=$${f#*:}; rm -f "$(DESTDIR)$${f#*:}"; done; \
	for l in $(INSTALL_LINKS); do rm -f "$(DESTDIR)$${l#*:}"; done; \
	for f in $(INSTALL); do \
		d=$$(dirname "$${f##*:}"); \
		while case $$d in */europa | */europa/*) rmdir "$(DESTDIR)$$d" 2>/dev/null ;; *) false ;; esac; do d=$$(dirname "$$d"); done; \
	done

clean:
	$(Q)rm -rf build image

help:
	@echo 'make                build everything into build/ and image/ (V=1 shows the commands)'
	@echo 'sudo make demo      install what is missing, build, show a virtual router forward packets'
	@echo 'sudo make check     install what is missing, build, run every test this machine can run'
	@echo 'sudo make bench     measure, interleaved with the peers; docs/performance.md has the method'
	@echo 'sudo make figures   measure and plot what the paper shows and more, into $(O)/figures (FIGURES="wakeup isolation")'
	@echo 'sudo make install   into PREFIX=$(PREFIX) (DESTDIR is honoured); make uninstall undoes it'
	@echo 'sudo make link      put links to europa-* of this tree, and to their man pages, where a shell finds them; make unlink undoes it'
	@echo 'make kmod           the kernel module, into $(O)/kmod (KDIR=... for another kernel); make install-dkms for DKMS'
	@echo 'sudo make check-vm  the integration tests on the module, in an emulated machine (VM_KERNEL=backports for a newer kernel)'
	@echo 'sudo make bench-vm  what a packet costs on the module, in instructions, beside the others, in an emulated machine'
	@echo 'sudo make figures-vm  those of the figures that compare throughputs, on the module, in an emulated machine'
	@echo 'sudo make check-vm-debug  the module in a kernel with KASAN, lockdep, kmemleak (SUITES="unit fuzz" runs those alone)'
	@echo 'sudo make check-vm-kcsan  the module in a kernel with KCSAN, which looks for data races (SUITES likewise)'
	@echo 'make check-unit     the unit tests alone; make check-fuzz, make check-integration likewise'
	@echo 'make SAN=address    build with AddressSanitizer and UBSan; SAN=thread with ThreadSanitizer'
	@echo 'make clean          remove build/ and image/'

.PHONY: all demo deps check-deps bench-deps install uninstall clean help

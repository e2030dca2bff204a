# libeuropa: what a data plane links. Static for the images, shared for whoever installs it.
LIBEUROPA_SOURCES := shim/attach.c shim/counter.c shim/reclaim.c shim/state.c shim/version.c shim/wait.c kmod/core/layout.c
LIBEUROPA_SO      := libeuropa.so.0
OBJCOPY ?= objcopy

# One relocatable object, in which only the library's own names are global: layout.c's are nobody else's business.
$(O)/sobj/libeuropa.o: $(LIBEUROPA_SOURCES:%.c=$(O)/sobj/%.o)
	$(Q)$(LD) -r -o $@ $^
	$(Q)$(OBJCOPY) --wildcard --keep-global-symbol='europa_*' $@

$(O)/lib/libeuropa.a: $(O)/sobj/libeuropa.o
	$(say) AR $@
	$(Q)mkdir -p $(@D)
	$(Q)rm -f $@ && $(AR) rcs $@ $^

$(O)/pic/%.o: %.c
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 -fno-strict-aliasing $(WARN) -fPIC $(CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<

# What is exported is what the map lists, no more and no less.
$(O)/lib/$(LIBEUROPA_SO): $(LIBEUROPA_SOURCES:%.c=$(O)/pic/%.o) shim/libeuropa.map
	$(say) LD $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-z,defs -Wl,-soname,$(LIBEUROPA_SO) \
		-Wl,--version-script=shim/libeuropa.map -o $@ $(filter %.o,$^)
	$(Q)nm -D --defined-only $@ | awk '$$2 == "T" { sub(/@.*/, "", $$3); print $$3 }' | sort >$(O)/pic/libeuropa.exported; \
	sed -n 's/^\t\(europa_[a-z_]*\);$$/\1/p' shim/libeuropa.map | sort | diff - $(O)/pic/libeuropa.exported >&2 || \
		{ echo 'shim/libeuropa.map and the symbols of $@ differ' >&2; exit 1; }

$(O)/lib/libeuropa.so: $(O)/lib/$(LIBEUROPA_SO)
	$(Q)ln -sfn $(LIBEUROPA_SO) $@

# The unit tests' copy, built as everything else is: with sanitizers where they are on.
$(eval $(call archive,lib/libeuropa-test.a,$(LIBEUROPA_SOURCES)))

# The headers as they are installed: <europa.h> and below <europa/> what it includes.
INSTALLED_HEADERS := $(O)/include/europa.h $(O)/include/europa/abi.h $(O)/include/europa/ring.h $(O)/include/europa/env.h
$(O)/include/europa.h:      shim/europa.h
$(O)/include/europa/abi.h:  kmod/uapi/linux/europa.h
$(O)/include/europa/ring.h: kmod/core/ring.h
$(O)/include/europa/env.h:  kmod/core/env.h
$(INSTALLED_HEADERS):
	$(Q)mkdir -p $(@D)
	$(Q)sed -e 's|<linux/europa.h>|<europa/abi.h>|' -e 's|"core/\(.*\)"|<europa/\1>|' $< >$@

# Written anew each time, as the directories may have changed; touched only where it differs.
$(O)/lib/europa.pc: shim/europa.pc.in FORCE
	$(Q)mkdir -p $(@D)
	$(Q)sed -e 's|@PREFIX@|$(PREFIX)|' -e 's|@LIBDIR@|$(LIBDIR)|' -e 's|@INCLUDEDIR@|$(INCLUDEDIR)|' \
		-e 's|@VERSION@|$(VERSION)|' $< >$@.new
	$(Q)cmp -s $@.new $@ && rm $@.new || mv $@.new $@
.PHONY: FORCE

# Unit tests that have both sides of a region in one process: $(call bed_test,NAME,MORE SOURCES)
define bed_test
$(call program,tests/$(1),tests/unit/$(1).c tests/unit/bed.c $(2),-lcmocka -lpthread)
$(O)/tests/$(1): $(O)/lib/libeuropa-test.a $(O)/lib/libcore.a
UNIT_TESTS += $(O)/tests/$(1)
endef
$(eval $(call bed_test,libeuropa_test))
$(eval $(call bed_test,wait_test))
$(eval $(call bed_test,libeuropa_stress))
$(eval $(call bed_test,handover_test))
$(eval $(call bed_test,handover_stress))

# The hand-off without a daemon, and how far apart the CPUs are; tests/bench/memif.sh is what it is compared with.
$(eval $(call program,tests/handoff,tests/bench/handoff.c,))
$(O)/tests/handoff: $(O)/lib/libcore.a
$(eval $(call program,tests/pingpong,tests/bench/pingpong.c,-lpthread))
BENCH_PROGRAMS += $(O)/tests/handoff $(O)/tests/pingpong

DEPS    += $(LIBEUROPA_SOURCES:%.c=$(O)/sobj/%.d) $(LIBEUROPA_SOURCES:%.c=$(O)/pic/%.d)
BUILD   += $(O)/lib/libeuropa.a $(O)/lib/libeuropa.so $(O)/lib/europa.pc $(INSTALLED_HEADERS)
INSTALL += 644:$(O)/lib/libeuropa.a:$(LIBDIR)/libeuropa.a \
           755:$(O)/lib/$(LIBEUROPA_SO):$(LIBDIR)/$(LIBEUROPA_SO) \
           644:$(O)/lib/europa.pc:$(LIBDIR)/pkgconfig/europa.pc \
           $(foreach h,$(INSTALLED_HEADERS),644:$(h):$(h:$(O)/include/%=$(INCLUDEDIR)/%))
INSTALL_LINKS += $(LIBEUROPA_SO):$(LIBDIR)/libeuropa.so

-include shim/init/build.mk
include shim/criu/build.mk

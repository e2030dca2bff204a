# The switch's packet logic: for the daemon, for the tests, and once with nothing around it.
CORE_SOURCES := $(addprefix kmod/core/,layout.c vr.c pool.c rx.c tx.c check.c classify.c rule.c generator.c name.c)

$(eval $(call archive,lib/libcore.a,$(CORE_SOURCES)))
BUILD += $(O)/lib/libcore.a

# As a kernel would have it: no C library, no floating point, small stack frames. The test looks at what is undefined.
CORE_BARE_CFLAGS := -std=gnu11 -O2 -ffreestanding -nostdlib -fno-strict-aliasing -mgeneral-regs-only -fno-stack-protector \
                    -Wframe-larger-than=1024 -Wdeclaration-after-statement $(WARN)
CORE_BARE := $(patsubst %.c,$(O)/bare/%.o,$(CORE_SOURCES))

$(O)/bare/%.o: %.c
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CORE_BARE_CFLAGS) $(CPPFLAGS) -MMD -MP -c -o $@ $<
$(O)/core/freestanding.o: $(CORE_BARE)
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -nostdlib -r -o $@ $^
$(O)/tests/freestanding_test: tests/unit/freestanding_test.sh $(O)/core/freestanding.o
	$(Q)mkdir -p $(@D)
	$(Q)install -m 755 $< $@
DEPS += $(CORE_BARE:.o=.d)
UNIT_TESTS += $(O)/tests/freestanding_test

CORE_TESTS := layout ring pool rx tx check adopt classify generator name
define core_test
$(eval $(call program,tests/$(1)_test,tests/unit/$(1)_test.c,-lcmocka))
$(O)/tests/$(1)_test: $(O)/lib/libcore.a
UNIT_TESTS += $(O)/tests/$(1)_test
endef
$(foreach t,$(CORE_TESTS),$(eval $(call core_test,$(t))))
# A case is a good frame, and then what is wrong with it.
CFLAGS_tests/unit/check_test := -Wno-override-init

$(eval $(call program,tests/handoff_core,tests/bench/handoff_core.c,-lpthread))
$(O)/tests/handoff_core: $(O)/lib/libcore.a
BENCH_PROGRAMS += $(O)/tests/handoff_core

$(eval $(call program,tests/ring_stress,tests/unit/ring_stress.c,-lcmocka -lpthread))
UNIT_TESTS += $(O)/tests/ring_stress
# ThreadSanitizer knows no fences; gcc says so. Those of the ring order a sleep, not data.
CFLAGS_tests/unit/ring_stress := -Wno-tsan

# The hostile VR's fuzzer includes the core's sources, with a READ_ONCE that betrays; they are told here for the dependencies alone.
$(eval $(call fuzzer,hostile_vr_fuzz,tests/fuzz/hostile_vr_fuzz.c))
$(eval $(call fuzzer,classify_fuzz,tests/fuzz/classify_fuzz.c kmod/core/classify.c))

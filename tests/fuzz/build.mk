# Read before the other fragments, which use the macro.
#
# $(call fuzzer,NAME,SOURCES,LIBS): $(O)/fuzz/NAME, a libFuzzer program, and its name in FUZZERS. Its seeds are in
# tests/fuzz/corpus/NAME/, which may be missing; tests/fuzz/NAME.dict and tests/fuzz/NAME.options (more arguments) are used where they exist.
CLANG        ?= clang
FUZZ_CFLAGS  := -std=gnu11 -O1 -g -fno-strict-aliasing -fno-omit-frame-pointer \
                -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=all

define fuzzer
FUZZERS += $(1)
$(O)/fuzz/$(1): $(patsubst %.c,$(O)/fuzz/obj/%.o,$(2))
	$$(say) FUZZ $$@
	$$(Q)mkdir -p $$(@D)
	$$(Q)$$(CLANG) $$(FUZZ_CFLAGS) -o $$@ $$(filter %.o,$$^) $(3)
DEPS += $(patsubst %.c,$(O)/fuzz/obj/%.d,$(2))
endef

# Warnings are gcc's business: the same sources are built with -Werror for the programs themselves.
$(O)/fuzz/obj/%.o: %.c
	$(say) CLANG $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CLANG) $(FUZZ_CFLAGS) $(CPPFLAGS) $(CPPFLAGS_$*) -MMD -MP -c -o $@ $<

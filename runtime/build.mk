# The europa binary: every command is one file beside the library's files.
include runtime/seccomp/build.mk
# engine/rules.c: what a filter compiles to is handed to the kernel module.
RUNTIME_SOURCES := $(sort $(wildcard runtime/*.c)) runtime/engine/rules.c kmod/core/layout.c
RUNTIME_LIBS    := -lcap -lseccomp -lcgroup -ljansson -lmnl
$(eval $(call program,bin/europa,$(RUNTIME_SOURCES),$(RUNTIME_LIBS)))
$(O)/bin/europa: $(O)/lib/libcgroups.a

COMMANDS := run ps kill stat exec logs update inspect
COMMAND_LINKS := $(COMMANDS:%=$(O)/bin/europa-%)
$(COMMAND_LINKS): $(O)/bin/europa
	$(Q)ln -sfn europa $@

BUILD   += $(O)/bin/europa $(COMMAND_LINKS)
INSTALL += 755:$(O)/bin/europa:$(BINDIR)/europa
INSTALL_LINKS += $(COMMANDS:%=europa:$(BINDIR)/europa-%)

# What a user writes and what is kept of it, tested and fuzzed apart from the rest.
QUANTITY_TESTED := runtime/quantity.c
OPTIONS_TESTED  := $(addprefix runtime/,options.c command.c image.c privilege.c quantity.c spec.c error.c) kmod/core/layout.c
STATE_TESTED    := $(addprefix runtime/,state.c process.c spec.c sweep.c quantity.c error.c)
$(eval $(call program,tests/quantity_test,tests/unit/quantity_test.c $(QUANTITY_TESTED),-lcmocka))
$(eval $(call program,tests/options_test,tests/unit/options_test.c $(OPTIONS_TESTED),-lcmocka $(RUNTIME_LIBS)))
$(eval $(call program,tests/state_test,tests/unit/state_test.c $(STATE_TESTED),-lcmocka $(RUNTIME_LIBS)))
$(O)/tests/state_test: $(O)/lib/libcgroups.a
UNIT_TESTS += $(addprefix $(O)/tests/,quantity_test options_test state_test)
$(eval $(call fuzzer,options_fuzz,tests/fuzz/options_fuzz.c $(OPTIONS_TESTED),$(RUNTIME_LIBS)))
$(eval $(call fuzzer,state_fuzz,tests/fuzz/state_fuzz.c $(STATE_TESTED) $(CGROUPS_SOURCES),$(RUNTIME_LIBS)))

# Images, which strangers write, and the system call filters.
IMAGE_TESTED := $(addprefix runtime/,image.c privilege.c quantity.c spec.c error.c)
$(eval $(call program,tests/image_test,tests/unit/image_test.c $(IMAGE_TESTED),-lcmocka -ljansson -lcap))
$(eval $(call program,tests/seccomp_test,tests/unit/seccomp_test.c runtime/seccomp.c,-lcmocka))
UNIT_TESTS += $(addprefix $(O)/tests/,image_test seccomp_test)
$(eval $(call fuzzer,image_fuzz,tests/fuzz/image_fuzz.c $(IMAGE_TESTED),-ljansson -lcap))

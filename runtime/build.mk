# The europa binary: every command is one file beside the library's files.
include runtime/seccomp/build.mk
# engine/rules.c: what a filter compiles to is handed to the kernel module. engine/netlink.c: how rtnetlink is asked.
# core/vr.c: a region that is restored is laid out as a switch would.
RUNTIME_SOURCES := $(sort $(wildcard runtime/*.c runtime/checkpoint/*.c)) $(addprefix runtime/engine/,rules.c netlink.c) kmod/core/layout.c $(addprefix kmod/core/,vr.c pool.c check.c rule.c)
RUNTIME_LIBS    := -lcap -lseccomp -lcgroup -ljansson -lmnl -lnettle
$(eval $(call program,bin/europa,$(RUNTIME_SOURCES),$(RUNTIME_LIBS)))
$(O)/bin/europa: $(O)/lib/libcgroups.a

COMMANDS := run ps kill stat exec logs update inspect checkpoint restore
COMMAND_LINKS := $(COMMANDS:%=$(O)/bin/europa-%)
$(COMMAND_LINKS): $(O)/bin/europa
	$(Q)ln -sfn europa $@

BUILD   += $(O)/bin/europa $(COMMAND_LINKS)
INSTALL += 755:$(O)/bin/europa:$(BINDIR)/europa
INSTALL_LINKS += $(COMMANDS:%=europa:$(BINDIR)/europa-%)

$(eval $(call program,tests/message_test,tests/unit/message_test.c runtime/message.c,-lcmocka))
$(eval $(call program,tests/logfile_test,tests/unit/logfile_test.c runtime/logfile.c runtime/logtimes.c runtime/error.c,-Xlinker --wrap=clock_gettime -lcmocka))
UNIT_TESTS += $(O)/tests/message_test $(O)/tests/logfile_test

# What a user writes and what is kept of it, tested and fuzzed apart from the rest.
QUANTITY_TESTED := runtime/quantity.c
OPTIONS_TESTED  := $(addprefix runtime/,options.c command.c image.c privilege.c quantity.c spec.c rlimits.c error.c) kmod/core/layout.c
STATE_TESTED    := $(addprefix runtime/,state.c run_dir.c process.c spec.c spec_json.c rlimits.c sweep.c tree.c message.c quantity.c error.c) kmod/core/layout.c
$(eval $(call program,tests/quantity_test,tests/unit/quantity_test.c $(QUANTITY_TESTED),-lcmocka))
$(eval $(call program,tests/options_test,tests/unit/options_test.c $(OPTIONS_TESTED),-lcmocka $(RUNTIME_LIBS)))
$(eval $(call program,tests/state_test,tests/unit/state_test.c $(STATE_TESTED),-lcmocka $(RUNTIME_LIBS)))
$(O)/tests/state_test: $(O)/lib/libcgroups.a
UNIT_TESTS += $(addprefix $(O)/tests/,quantity_test options_test state_test)
$(eval $(call fuzzer,options_fuzz,tests/fuzz/options_fuzz.c $(OPTIONS_TESTED),$(RUNTIME_LIBS)))
$(eval $(call fuzzer,state_fuzz,tests/fuzz/state_fuzz.c $(STATE_TESTED) $(CGROUPS_SOURCES),$(RUNTIME_LIBS)))

# Images, which strangers write, and the system call filters.
IMAGE_TESTED := $(addprefix runtime/,image.c privilege.c quantity.c spec.c rlimits.c error.c)
$(eval $(call program,tests/image_test,tests/unit/image_test.c $(IMAGE_TESTED),-lcmocka -ljansson -lcap))
$(eval $(call program,tests/seccomp_test,tests/unit/seccomp_test.c runtime/seccomp.c,-lcmocka))
UNIT_TESTS += $(addprefix $(O)/tests/,image_test seccomp_test)
$(eval $(call fuzzer,image_fuzz,tests/fuzz/image_fuzz.c $(IMAGE_TESTED),-ljansson -lcap))

# Checkpoints, which may come from anywhere.
CHECKPOINT_TESTED := $(addprefix runtime/checkpoint/,manifest.c packets.c handover.c network_json.c store.c criu_image.c) \
                     $(addprefix runtime/,spec_json.c spec.c rlimits.c region.c tree.c quantity.c error.c) kmod/core/layout.c $(addprefix kmod/core/,vr.c rx.c tx.c pool.c check.c)
$(eval $(call program,tests/checkpoint_test,tests/unit/checkpoint_test.c $(addprefix runtime/checkpoint/,seen.c network.c owned.c) \
	$(addprefix runtime/,state.c run_dir.c process.c sweep.c message.c engine/netlink.c) $(CHECKPOINT_TESTED),-Xlinker --wrap=mnl_socket_recvfrom -lcmocka $(RUNTIME_LIBS)))
$(O)/tests/checkpoint_test: $(O)/lib/libcgroups.a
UNIT_TESTS += $(O)/tests/checkpoint_test
$(eval $(call fuzzer,checkpoint_manifest_fuzz,tests/fuzz/checkpoint_manifest_fuzz.c $(CHECKPOINT_TESTED),$(RUNTIME_LIBS)))
$(eval $(call fuzzer,checkpoint_region_fuzz,tests/fuzz/checkpoint_region_fuzz.c $(CHECKPOINT_TESTED),$(RUNTIME_LIBS)))

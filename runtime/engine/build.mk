# europad: the switch in user mode, over the same core as the module.
ENGINE_SOURCES := $(sort $(wildcard runtime/engine/*.c)) $(addprefix runtime/,descriptors.c error.c message.c run_dir.c)
$(eval $(call program,bin/europad,$(ENGINE_SOURCES),-lmnl -lpthread))
$(O)/bin/europad: $(O)/lib/libcore.a

BUILD   += $(O)/bin/europad
INSTALL += 755:$(O)/bin/europad:$(LIBEXECDIR)/europad

# VRs without containers, for tests/integration/test_switch.py and test_crowd.py; they look for europad beside themselves.
DRIVER_SOURCES := runtime/backend.c runtime/kernel.c runtime/message.c runtime/region.c runtime/engine/rules.c kmod/core/rule.c runtime/error.c
$(eval $(call program,tests/vr_driver,tests/integration/vr_driver.c $(DRIVER_SOURCES),))
$(eval $(call program,tests/crowd,tests/integration/crowd.c $(DRIVER_SOURCES),))
$(O)/tests/vr_driver $(O)/tests/crowd: $(O)/lib/libeuropa-test.a | $(O)/tests/europad
$(O)/tests/europad: $(O)/bin/europad
	$(Q)mkdir -p $(@D) && ln -sfn ../bin/europad $@
check-all check-integration: $(O)/tests/vr_driver

RULES_TESTED := runtime/engine/rules.c kmod/core/rule.c runtime/engine/protocol.c runtime/error.c
$(eval $(call program,tests/rules_test,tests/unit/rules_test.c $(RULES_TESTED),-lcmocka))
$(eval $(call program,tests/protocol_test,tests/unit/protocol_test.c $(RULES_TESTED),-lcmocka))
$(eval $(call program,tests/port_test,tests/unit/port_test.c runtime/engine/port.c,-lcmocka))
$(eval $(call program,tests/spin_test,tests/unit/spin_test.c,-lcmocka))
$(eval $(call program,tests/packet_test,tests/unit/packet_test.c $(addprefix runtime/engine/,packet.c xsk.c port.c log.c) runtime/error.c,-lcmocka -lpthread))
$(O)/tests/port_test $(O)/tests/packet_test: $(O)/lib/libcore.a
UNIT_TESTS += $(addprefix $(O)/tests/,rules_test protocol_test port_test packet_test spin_test)
$(eval $(call fuzzer,rules_fuzz,tests/fuzz/rules_fuzz.c $(RULES_TESTED) kmod/core/classify.c,))

# The unit, with europad's path as it is installed.
$(O)/europad.service: runtime/engine/europad.service $(O)/places
	$(Q)mkdir -p $(@D) && sed 's|@LIBEXECDIR@|$(LIBEXECDIR)|' $< >$@
BUILD   += $(O)/europad.service
INSTALL += 644:$(O)/europad.service:$(UNITDIR)/europad.service

# The IPv4 router, its tests, and the fuzzers of what strangers can give it: packets, configurations, states.
IPFWD_SOURCES := $(addprefix images/ipfwd/,router.c arp.c ipv4.c options.c fragment.c local.c icmp.c offload.c port.c \
                   neighbour.c nexthop.c route.c fib.c counters.c config.c configure.c state.c) runtime/error.c

$(eval $(call image,ipfwd,images/ipfwd/main.c $(IPFWD_SOURCES)))

# $(call ipfwd_test,NAME,SOURCES): a unit test of parts that need no region.
define ipfwd_test
$(call program,tests/$(1),tests/unit/$(1).c $(2),-lcmocka)
UNIT_TESTS += $(O)/tests/$(1)
endef
$(eval $(call ipfwd_test,lpm_test,images/ipfwd/fib.c))
$(eval $(call ipfwd_test,ipfwd_checksum_test,))

# Whole routers, between libeuropa and the switch's core.
define ipfwd_bed_test
$(call bed_test,$(1),tests/unit/ipfwd_bed.c $(IPFWD_SOURCES))
endef
$(foreach t,forward icmp size arp config state,$(eval $(call ipfwd_bed_test,ipfwd_$(t)_test)))

$(eval $(call fuzzer,ipfwd_config_fuzz,tests/fuzz/ipfwd_config_fuzz.c $(IPFWD_SOURCES) $(LIBEUROPA_SOURCES)))
$(eval $(call fuzzer,ipfwd_state_fuzz,tests/fuzz/ipfwd_state_fuzz.c $(IPFWD_SOURCES) $(LIBEUROPA_SOURCES)))
$(eval $(call fuzzer,ipfwd_packet_fuzz,tests/fuzz/ipfwd_packet_fuzz.c $(IPFWD_SOURCES) $(LIBEUROPA_SOURCES) \
                     $(filter-out kmod/core/layout.c,$(CORE_SOURCES)),-latomic))

# Prints how fast the parts are: make build/tests/ipfwd_speed && build/tests/ipfwd_speed
$(eval $(call program,tests/ipfwd_speed,tests/unit/ipfwd_speed.c tests/unit/ipfwd_bed.c tests/unit/bed.c $(IPFWD_SOURCES),-lcmocka))
$(O)/tests/ipfwd_speed: $(O)/lib/libeuropa-test.a $(O)/lib/libcore.a

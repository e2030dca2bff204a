L2SWITCH_SOURCES := images/l2switch/bridge.c images/l2switch/stations.c images/l2switch/state.c
$(eval $(call image,l2switch,images/l2switch/l2switch.c $(L2SWITCH_SOURCES)))
$(eval $(call bed_test,l2switch_test,$(L2SWITCH_SOURCES)))
$(eval $(call fuzzer,l2switch_state_fuzz,tests/fuzz/l2switch_state_fuzz.c images/l2switch/state.c images/l2switch/stations.c))

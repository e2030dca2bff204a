# The life of a VR's control group: a library for the runtime, and its test.
CGROUPS_SOURCES := $(addprefix cgroups/,cgroups.c freeze.c group.c layout.c limits.c members.c v1.c v2.c values.c)
$(eval $(call archive,lib/libcgroups.a,$(CGROUPS_SOURCES)))
BUILD += $(O)/lib/libcgroups.a

# The test makes each of these calls fail in turn.
CGROUPS_WRAPPED := mkdirat openat write clock_gettime cgroup_modify_cgroup
$(eval $(call program,tests/cgroups_test,tests/unit/cgroups_test.c runtime/error.c,\
	$(CGROUPS_WRAPPED:%=-Xlinker --wrap=%) -lcgroup -lcmocka -lpthread))
$(O)/tests/cgroups_test: $(O)/lib/libcgroups.a
UNIT_TESTS += $(O)/tests/cgroups_test

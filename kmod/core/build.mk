# The switch's packet logic: for the daemon, for the tests, and once with nothing around it.
CORE_SOURCES := $(addprefix kmod/core/,layout.c vr.c pool.c rx.c tx.c check.c classify.c)

$(eval $(call archive,lib/libcore.a,$(CORE_SOURCES)))
BUILD += $(O)/lib/libcore.a

CORE_TESTS := layout pool rx tx check adopt
define core_test
$(eval $(call program,tests/$(1)_test,tests/unit/$(1)_test.c,-lcmocka))
$(O)/tests/$(1)_test: $(O)/lib/libcore.a
UNIT_TESTS += $(O)/tests/$(1)_test
endef
$(foreach t,$(CORE_TESTS),$(eval $(call core_test,$(t))))
# A case is a good frame, and then what is wrong with it.
CFLAGS_tests/unit/check_test := -Wno-override-init

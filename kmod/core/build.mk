# The switch's packet logic: for the daemon, for the tests, and once with nothing around it.
CORE_SOURCES := $(addprefix kmod/core/,layout.c vr.c pool.c rx.c tx.c check.c classify.c)

$(eval $(call archive,lib/libcore.a,$(CORE_SOURCES)))
BUILD += $(O)/lib/libcore.a

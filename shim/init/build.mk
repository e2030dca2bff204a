# Process 1 of every VR: static, because nothing of the host is to be seen inside, and stripped, because it is copied at every start.
$(eval $(call static_program,bin/europa-init,shim/init/init.c shim/init/privilege.c runtime/descriptors.c runtime/rlimits.c runtime/error.c,-s))
BUILD   += $(O)/bin/europa-init
INSTALL += 755:$(O)/bin/europa-init:$(LIBEXECDIR)/europa-init

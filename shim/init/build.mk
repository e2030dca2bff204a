# Process 1 of every VR: static, because nothing of the host is to be seen inside.
$(eval $(call static_program,bin/europa-init,shim/init/init.c shim/init/privilege.c runtime/descriptors.c runtime/error.c,))
BUILD   += $(O)/bin/europa-init
INSTALL += 755:$(O)/bin/europa-init:$(LIBEXECDIR)/europa-init

# The europa binary: every command is one file beside the library's files.
include runtime/seccomp/build.mk
RUNTIME_SOURCES := $(sort $(wildcard runtime/*.c)) kmod/core/layout.c
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

# What criu loads to enter a virtual router. Executables find it beside themselves, as they do europa-init.
CRIU_PLUGIN := $(O)/bin/criu/europa-enter.so
$(CRIU_PLUGIN): $(O)/pic/shim/criu/enter.o
	$(say) LD $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -shared -Wl,-z,defs -o $@ $^

BUILD   += $(CRIU_PLUGIN)
INSTALL += 644:$(CRIU_PLUGIN):$(LIBEXECDIR)/criu/europa-enter.so

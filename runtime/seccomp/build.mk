# The system call filters are compiled once, here, by a program that runs on the machine that builds.
$(O)/gen/seccomp-compile: runtime/seccomp/compile.c
	$(say) CC $<
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) -std=gnu11 $(WARN) -D_GNU_SOURCE -O1 -o $@ $< -lseccomp

$(O)/gen/seccomp_filters.h: $(O)/gen/seccomp-compile
	$(Q)$< >$@

$(O)/obj/runtime/seccomp.o: $(O)/gen/seccomp_filters.h
CPPFLAGS_runtime/seccomp := -I$(O)/gen

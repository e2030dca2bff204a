# The kernel module. It is built for the running kernel, or for the newest one whose headers are installed; nothing else depends on it.
KMOD_VERSION := $(VERSION)
KMOD_SOURCES := $(wildcard kmod/*.[ch] kmod/core/*.[ch] kmod/uapi/linux/*.h) kmod/Kbuild kmod/Makefile
# Two sets of headers: those of Debian's kernel, and of the one with PREEMPT_RT, which means other locks.
KMOD_PKGS    := linux-headers-amd64 linux-headers-rt-amd64 sparse
VM_PKGS      := $(KMOD_PKGS) qemu-system-x86 busybox-static cpio kmod
DKMSDIR      ?= /usr/src/europa-$(VERSION)

# Built in a copy: the sources stay clean, and objects of different kernels never meet.
kmod:
	$(Q)mkdir -p $(O)/kmod && cp -a kmod/. $(O)/kmod/
	$(Q)EUROPA_VERSION=$(VERSION) $(MAKE) --no-print-directory -C $(O)/kmod $(if $(KDIR),KDIR='$(KDIR)') modules

# For DKMS, which builds it for every kernel that is installed: dkms install europa/VERSION.
install-dkms:
	$(Q)set -e; for f in $(patsubst kmod/%,%,$(KMOD_SOURCES)) dkms.conf; do \
		install -D -m 644 "kmod/$$f" "$(DESTDIR)$(DKMSDIR)/$$f"; done
	$(Q)install -D -m 644 kmod/europa.conf $(DESTDIR)/etc/modules-load.d/europa.conf
uninstall-dkms:
	$(Q)rm -rf '$(DESTDIR)$(DKMSDIR)' $(DESTDIR)/etc/modules-load.d/europa.conf

# The integration suite on the module, in an emulated machine.
vm-deps:
	$(Q)tests/deps.sh $(BUILD_PKGS) $(TEST_PKGS) $(VM_PKGS)
check-vm: vm-deps
	$(Q)$(MAKE) --no-print-directory check-vm-all
check-vm-all: all $(INTEGRATION_PROGRAMS) $(O)/tests/vr_driver
	$(Q)O='$(O)' tests/vm/check.sh $(VM_TESTS)

# What a packet costs on the module, in instructions of the same machine.
$(eval $(call static_program,tests/counted,tests/vm/bench/counted.c,))
$(O)/tests/profile.so: tests/vm/bench/profile.c tests/vm/bench/mark.h
	$(say) LD $@
	$(Q)mkdir -p $(@D)
	$(Q)$(CC) $(ALL_CFLAGS) -fPIC -shared -o $@ $<

bench-vm: vm-deps
	$(Q)tests/deps.sh $(DEMO_PKGS)
	$(Q)$(MAKE) --no-print-directory bench-vm-all
bench-vm-all: all $(O)/tests/counted $(O)/tests/profile.so $(O)/tests/recvfrom_fwd
	$(Q)O='$(O)' tests/vm/bench/run

# The figures of `make figures` on the module.
figures-vm: vm-deps bench-deps
	$(Q)$(MAKE) --no-print-directory figures-vm-all
figures-vm-all: all $(BENCH_PROGRAMS)
	$(Q)O='$(O)' BENCH_ARGS='$(BENCH_ARGS)' tests/vm/bench/figures $(FIGURES)

# The module and the core in a kernel that looks for mistakes; building that kernel takes some minutes, once.
VM_DEBUG_PKGS := bc bison flex libelf-dev xz-utils busybox-static kmod
VM_DEBUG_SOURCES := tests/vm/debug/supervisor.c runtime/region.c runtime/error.c
$(eval $(call program,tests/vm_failure_test,tests/vm/debug/failure_test.c $(VM_DEBUG_SOURCES),-lcmocka))
$(eval $(call program,tests/vm_fuzz,tests/vm/debug/fuzz.c $(VM_DEBUG_SOURCES),))
VM_DEBUG_PROGRAMS := $(O)/tests/vm_failure_test $(O)/tests/vm_fuzz
$(VM_DEBUG_PROGRAMS): $(O)/lib/libcore.a

vm-debug-deps:
	$(Q)tests/deps.sh $(BUILD_PKGS) $(TEST_PKGS) $(VM_DEBUG_PKGS)
check-vm-debug: vm-debug-deps
	$(Q)$(MAKE) --no-print-directory check-vm-debug-all
check-vm-debug-all: all $(INTEGRATION_PROGRAMS) $(O)/tests/vr_driver $(VM_DEBUG_PROGRAMS)
	$(Q)O='$(O)' EUROPA_VERSION=$(VERSION) tests/vm/debug/check.sh uml $(SUITES)

# The same module in a kernel with KCSAN, which needs more than one CPU.
vm-kcsan-deps:
	$(Q)tests/deps.sh $(BUILD_PKGS) $(TEST_PKGS) $(VM_DEBUG_PKGS) $(VM_PKGS)
check-vm-kcsan: vm-kcsan-deps
	$(Q)$(MAKE) --no-print-directory check-vm-kcsan-all
check-vm-kcsan-all: all $(INTEGRATION_PROGRAMS) $(O)/tests/vr_driver
	$(Q)O='$(O)' EUROPA_VERSION=$(VERSION) tests/vm/debug/check.sh kcsan $(SUITES)

.PHONY: kmod install-dkms uninstall-dkms vm-deps check-vm check-vm-all bench-vm bench-vm-all figures-vm figures-vm-all vm-debug-deps check-vm-debug check-vm-debug-all \
        vm-kcsan-deps check-vm-kcsan check-vm-kcsan-all

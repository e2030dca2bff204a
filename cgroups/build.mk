# parts of cgroups/
$(eval $(call archive,lib/libcgroups.a,cgroups/cgroups.c cgroups/freeze.c cgroups/group.c cgroups/layout.c cgroups/limits.c cgroups/members.c cgroups/v1.c cgroups/v2.c cgroups/values.c))
BUILD += $(O)/lib/libcgroups.a

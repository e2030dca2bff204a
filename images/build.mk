# The images a VR can be run from: image/NAME/config.json and image/NAME/rootfs/, built from images/NAME/.
# They stay where europa-run finds them from the project's root; a build elsewhere keeps its own.
IMAGES := $(if $(filter build,$(O)),image,$(O)/image)
ROOTFS_DIRS := dev etc proc sys tmp run

# $(call image,NAME,SOURCES): one static program over libeuropa as rootfs/bin/NAME, and images/NAME/config.json beside it.
# The empty directories are where the runtime mounts; a file keeps each when it is installed.
define image
$(call static_program,images/$(1)/$(1),$(2))
$(O)/images/$(1)/$(1): $(O)/lib/libeuropa.a

$(IMAGES)/$(1)/rootfs/bin/$(1): $(O)/images/$(1)/$(1)
	$$(Q)install -D -m 755 $$< $$@
$(IMAGES)/$(1)/config.json: images/$(1)/config.json
	$$(Q)install -D -m 644 $$< $$@
$(ROOTFS_DIRS:%=$(IMAGES)/$(1)/rootfs/%/.keep):
	$$(Q)mkdir -p $$(@D) && : >$$@

BUILD   += $(IMAGES)/$(1)/rootfs/bin/$(1) $(IMAGES)/$(1)/config.json $(ROOTFS_DIRS:%=$(IMAGES)/$(1)/rootfs/%/.keep)
INSTALL += 755:$(IMAGES)/$(1)/rootfs/bin/$(1):$(IMAGEDIR)/$(1)/rootfs/bin/$(1) \
           644:$(IMAGES)/$(1)/config.json:$(IMAGEDIR)/$(1)/config.json \
           $(foreach d,$(ROOTFS_DIRS),644:$(IMAGES)/$(1)/rootfs/$(d)/.keep:$(IMAGEDIR)/$(1)/rootfs/$(d)/.keep)
endef

include $(sort $(wildcard images/*/build.mk))

# The images' programs by themselves, as processes on a region of the test's.
CPPFLAGS_tests/unit/images_handover_test = -DIMAGES='"$(O)/images"'
$(eval $(call bed_test,images_handover_test))
$(O)/tests/images_handover_test: | $(foreach i,ipfwd l2switch nullfwd,$(O)/images/$(i)/$(i))

$(eval $(call image,nullfwd,images/nullfwd/nullfwd.c))

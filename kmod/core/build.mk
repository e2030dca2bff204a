# parts of kmod/core/

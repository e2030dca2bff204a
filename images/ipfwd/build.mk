# The IPv4 router, its tests, and the fuzzers of what strangers can give it: packets and configurations.
IPFWD_SOURCES := $(addprefix images/ipfwd/,router.c arp.c ipv4.c options.c fragment.c local.c icmp.c offload.c port.c \
                   neighbour.c nexthop.c route.c fib.c counters.c config.c configure.c) runtime/error.c

$(eval $(call image,ipfwd,images/ipfwd/main.c $(IPFWD_SOURCES)))

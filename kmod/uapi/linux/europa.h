/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR MIT */
/*
 * Europa: the contract between a virtual router (VR) and the switch that serves it, and between the VR's
 * supervisor and the switch. Everything that both sides can see is in this file; the same for EuropaKM (the kernel
 * module) and europad (the daemon).
 *
 *
 * The region
 * ----------
 * A VR's region is two memfds, made by its supervisor and sealed against resizing. Little-endian; every offset
 * counts from the start of its own memfd; every block starts on a 64-byte line.
 *
 *   control: the switch writes, the VR maps it read-only                pool: the VR and the switch write
 *   +--------------------------------------------+ 0                   +----------------------------------+ 0
 *   | struct europa_header                       |                     | struct europa_pool_header        |
 *   +--------------------------------------------+ lines               +----------------------------------+ lines
 *   | struct europa_line  per ring               |                     | struct europa_line  per ring     |
 *   |   rx, alloc: producer;  tx, free: consumer |                     |   rx, alloc: consumer            |
 *   +--------------------------------------------+ vnics               |   tx, free:  producer            |
 *   | struct europa_vnic  per vNIC               |                     +----------------------------------+ counters
 *   +--------------------------------------------+ stats               | struct europa_dp_counter [64]    |
 *   | struct europa_vr_stats                     |                     +----------------------------------+ rings
 *   | struct europa_vnic_stats  per vNIC         |                     | u32 entries: free, tx0, tx1, ... |
 *   +--------------------------------------------+ rings               +----------------------------------+ meta
 *   | u32 entries: alloc, rx0, rx1, ...          |                     | struct europa_slot  per slot     |
 *   +--------------------------------------------+ owners              +----------------------------------+ slots
 *   | u8 owner  per slot                         |                     | slot 0 | slot 1 | ...           |
 *   +--------------------------------------------+                     +----------------------------------+
 *
 * The VR cannot write to control: it holds a descriptor opened O_RDONLY of a file that the host's root owns with mode
 * 0600, so it can neither map it writable, nor mprotect its way there, nor open it again through /proc.
 * (F_SEAL_FUTURE_WRITE would forbid the same to the next switch, which must map the region when the last one died.)
 *
 *
 * Rings
 * -----
 *   ring              number    producer  consumer  entries in    says
 *   free              0         VR        switch    pool          "this slot is yours again, I drop what is in it"
 *   alloc             1         switch    VR        control       "this EMPTY slot is yours, to originate a packet"
 *   rx of vNIC n      2 + 2n    switch    VR        control       "this FILLED slot is yours, it came in at vNIC n"
 *   tx of vNIC n      3 + 2n    VR        switch    pool          "send this PROCESSED slot out of vNIC n"
 *
 * Indexes are free-running u32; a ring's size is a power of two; entry k lives at [k & (size - 1)]. The producer
 * writes entries, then stores its index with release; the consumer loads it with acquire, reads entries, then stores its
 * own index with release. kmod/core/ring.h is the only place that implements this and has the table of who pairs
 * with whom. Each side keeps private copies of its own index: a shared word is for the other side to read.
 *
 * A ring holds slot indexes. Every slot has one owner at any time, the switch or the VR, and passes by these rings only.
 *
 *
 * Slots
 * -----
 * Slot i starts at slots + i * slot_stride. Slots [0, nslots) hold one frame each. Above them, `nruns` runs of `run_slots`
 * adjacent slots hold one super-packet each (up to 64 KiB: TCP comes as GSO packets); a run is named by its first slot, the
 * indexes inside it are never used. So a packet is always one contiguous piece of memory.
 *
 *	 slot_stride (an odd multiple of 64, so that headers don't fall into the same cache sets)
 *	|<---------------------------------------------->|
 *	+-----------------+--------------------+---------+
 *	| headroom (128)  | frame, len bytes   |         |
 *	+-----------------+--------------------+---------+
 *	                  ^ offset (the VR may move it to push or pull headers)
 *
 *   state         set by              means
 *   EMPTY     0   switch              nothing in it
 *   FILLED    1   switch at rx        the VR may process it
 *   PROCESSED 2   VR at tx            the switch may send it
 *
 * The state is checked by the switch when it takes a slot from a tx ring; it is never the lock.
 *
 *
 * What the switch checks
 * ----------------------
 * Whatever it reads from the pool memfd may be anything and may change while it looks: it is read once, and the copy is
 * checked. Every way to be wrong has a counter (enum europa_drop, EUROPA_DROP_BAD_RING to EUROPA_DROP_BAD_PORTS) and costs the VR that
 * entry; a VR that goes on is quarantined: its rings are no longer served, and it hurts nobody.
 *
 * What comes in is held to the same terms: a frame whose checksum or segments a VR could not ask for is not given to one
 * (EUROPA_DROP_RX_MALFORMED), so a VR that sends on what it got, as it got it, breaks none. Who changes a frame's length or offset
 * sees to it that they still hold:
 *
 *   len           at least an Ethernet header, and with `offset` no more than the slot
 *   NEEDS_CSUM    csum_start is not in the Ethernet header, and the field, 2 bytes at csum_start + csum_offset, is in the frame
 *   gso_type      with NEEDS_CSUM only; csum_offset is the protocol's, its header (TCP 20 bytes, UDP 8) is in the frame; hdr_len is
 *                 not more than len; gso_size gives at most EUROPA_MAX_SEGMENTS segments
 *
 *
 * Wake-ups
 * --------
 * A consumer that is about to sleep sets need_wakeup in its line, then looks at the ring once more. The producer looks at
 * need_wakeup after it has published, once a batch, and where it is set writes one byte to the doorbell (switch to VR) or
 * the kick (VR to switch): two pipes, one open file description a side, because with an eventfd a VR could clear O_NONBLOCK
 * under the switch, and because CRIU can hand a pipe over to a restored process.
 *
 *
 * Handing over a data plane's state (EUROPA_F_STATE)
 * --------------------------------------------------
 * What a data plane knows, its routes or its stations, is in no ring. For a checkpoint it writes it to a third memfd, *state*, and
 * a data plane that finds a state there when it starts goes on from it.
 *
 *   supervisor                    switch                          data plane
 *   QUIESCE, EUROPA_QUIESCE_IN    puts nothing into rx rings      empties its rx rings; what it sends still leaves
 *   ASK, EUROPA_ASK_SAVE          header.request; rings the
 *                                 doorbell                        writes its state to the memfd, then in pool: answer,
 *                                                                 state_len, then answered = request
 *   waits for answered                                            answer 0: stands still, so that what it saved stays true
 *   QUIESCE, EUROPA_QUIESCE_ALL   touches no slot any more
 *   reads rings, slots, state
 *   kills the VR, or: ASK, EUROPA_ASK_NOTHING; QUIESCE, 0         goes on; the state memfd is made empty
 *
 * What the data plane leaves in its rings is not part of its state. A switch that takes a region over withdraws a request
 * that it finds there: the VR goes on, and the supervisor, which has noticed, begins again.
 *
 *   state memfd: the VR and the supervisor read and write it; nobody maps it, for it may shrink
 *   +---------------------------+ 0      struct europa_state_header; its magic is written last
 *   | counters                  | 64     struct europa_dp_counter [ncounters]: they go on where they were
 *   +---------------------------+
 *   | blob, len bytes           |        the data plane's own; a hostile VR may have written it: whoever loads it checks it
 *   +---------------------------+ europa_pool_header.state_len
 *
 *
 * What a data plane is handed: LISTEN_FDS=5,
 * LISTEN_FDNAMES=europa.control:europa.pool:europa.doorbell:europa.kick:europa.state
 *
 *   fd 3  control   memfd, O_RDONLY
 *   fd 4  pool      memfd, O_RDWR
 *   fd 5  doorbell  pipe, read end, non-blocking
 *   fd 6  kick      pipe, write end, non-blocking
 *   fd 7  state     memfd, O_RDWR, may grow and shrink; a supervisor older than minor 1 hands out none
 */
#ifndef _UAPI_LINUX_EUROPA_H
#define _UAPI_LINUX_EUROPA_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define EUROPA_MAGIC           0x41504f5255450001ULL   /* "EUROPA" and the byte order */
#define EUROPA_MAJOR           1      /* another one: another layout */
#define EUROPA_MINOR           1      /* grows when fields are appended */

#define EUROPA_MAX_VNICS       32     /* a bitmap of ports is a u32 */
#define EUROPA_MAX_SLOTS       (1u << 20)
#define EUROPA_MIN_SLOTS       2
#define EUROPA_MAX_RING        (1u << 16)
#define EUROPA_HEADROOM        128
#define EUROPA_SLOT_ALIGN      64
#define EUROPA_MIN_STRIDE      576    /* 9 * 64: headroom and a frame of 448 bytes */
#define EUROPA_MAX_STRIDE      65472  /* 1023 * 64 */
#define EUROPA_SUPER_BYTES     (EUROPA_HEADROOM + 65536 + 64)   /* a run is at least this long */
#define EUROPA_DP_COUNTERS     64

/* Ring numbers. */
#define EUROPA_RING_FREE       0u
#define EUROPA_RING_ALLOC      1u
#define EUROPA_RING_RX(vnic)   (2u + 2u * (vnic))
#define EUROPA_RING_TX(vnic)   (3u + 2u * (vnic))
#define EUROPA_MAX_RINGS       (2u + 2u * EUROPA_MAX_VNICS)

/*
 * Geometry: what a supervisor asks for. From it alone every offset follows (kmod/core/layout.h computes them), so a switch
 * computes them by itself and never believes the header.
 */
struct europa_geometry {
	__u32 nvnics;              /* 0..EUROPA_MAX_VNICS */
	__u32 nslots;              /* single slots */
	__u32 nruns;               /* runs for super-packets */
	__u32 run_slots;           /* slots in a run: the smallest power of two that holds EUROPA_SUPER_BYTES */
	__u32 slot_stride;         /* bytes, an odd multiple of 64 */
	__u32 ring_size;           /* entries of each rx and tx ring, a power of two */
	__u32 pool_ring_size;      /* entries of the free and alloc rings: a power of two, >= nslots + nruns */
	__u32 alloc_target;        /* EMPTY slots that the switch keeps in the alloc ring */
};

struct europa_offsets {
	__u32 control_lines, control_vnics, control_stats, control_rings, control_owners, control_size;
	__u32 pool_lines, pool_counters, pool_rings;
	__u32 reserved;
	__u64 pool_meta, pool_slots, pool_size;
};

/* A VR's life with its switch, as europa_header.status shows it. */
enum europa_status {
	EUROPA_DETACHED    = 0,    /* no switch serves the region now: between two switches */
	EUROPA_ATTACHED    = 1,
	EUROPA_QUIESCED    = 2,    /* the switch neither fills nor takes slots: during a checkpoint */
	EUROPA_QUARANTINED = 3,    /* the VR broke the contract too often */
	EUROPA_FENCED      = 4,    /* nothing comes in; what the VR sends and drops is taken: before a checkpoint */
};

/* Features that a switch offers. Append-only. */
#define EUROPA_F_OFFLOAD       (1u << 0)   /* partial checksums and GSO in slot metadata */
#define EUROPA_F_RUNS          (1u << 1)   /* super-packets */
#define EUROPA_F_REPLICATE     (1u << 2)   /* EUROPA_SLOT_REPLICATE */
#define EUROPA_F_ALLOC         (1u << 3)
#define EUROPA_F_STATE         (1u << 4)   /* EUROPA_ASK, EUROPA_QUIESCE_IN; of a data plane: it answers, at least that it can't */

/* What a data plane is asked for, in europa_header.request. */
enum europa_asked {
	EUROPA_ASK_NOTHING = 0,    /* go on */
	EUROPA_ASK_SAVE    = 1,    /* write your state to the state memfd, answer, stand still */
};

struct europa_header {             /* at 0 of control */
	__u64 magic;               /* written last, when all else is in place */
	__u16 major, minor;
	__u32 features;
	struct europa_geometry geometry;
	struct europa_offsets offsets;
	__u32 status;              /* enum europa_status */
	__u32 epoch;               /* +1 whenever a switch takes the region: counters and indexes go on */
	char  name[64];            /* the VR's, NUL-terminated */
	__u32 cpu_permille;        /* since 1.1: the VR's CPU quota now, in thousandths of a CPU, ~0: none, 0: not told. It is the VR's */
				   /* supervisor, or europa-update, that sets it; a switch leaves it alone */
	__u32 request;             /* since 1.1: enum europa_asked in the low 8 bits, above it a number: +1 with each request */
};

struct europa_pool_header {        /* at 0 of pool; the VR writes, nobody trusts it */
	__u64 magic;
	__u32 features;            /* what the data plane knows and uses */
	__u32 answered;            /* since 1.1, as all that follows: the header's request that this answers; written last */
	__s32 answer;              /* 0, or a negative errno: -ENOTSUP where the data plane has no state to hand over */
	__u32 state_version;       /* of its blob; set when it starts. 0: it can't hand it over */
	__u64 state_len;           /* answer 0: bytes of the state memfd, header and counters included */
	__u32 reserved[8];
};

#define EUROPA_STATE_MAGIC     0x4154534f5255450aULL
#define EUROPA_STATE_MAX       (1ull << 28)   /* bytes of a blob, at most */

struct europa_state_header {       /* at 0 of the state memfd */
	__u64 magic;               /* EUROPA_STATE_MAGIC */
	__u32 version;             /* of the blob; the data plane's own, never 0 */
	__u32 ncounters;           /* 0..EUROPA_DP_COUNTERS */
	__u64 len;                 /* bytes of the blob, at most EUROPA_STATE_MAX; the file ends with it */
	__u32 reserved[10];        /* 0 */
};

/*
 * One line of each memfd for each ring, so that no two writers share a cache line. `index` is that side's free-running
 * index. The `txn` words are the switch's own journal, unused in pool: before it moves the ownership of `txn_count` slots at
 * ring positions from `txn_base` it says so, and clears txn_count when index is published; a switch that takes over from one
 * that was killed half-way finishes or undoes it, and no slot is lost.
 */
struct europa_line {
	__u32 index;
	__u32 need_wakeup;
	__u32 txn_base;
	__u32 txn_count;
	__u32 pad[12];
};

/* Owners, one byte a slot. */
#define EUROPA_OWNER_SWITCH    0
#define EUROPA_OWNER_VR        1

struct europa_vnic {               /* in control: one per vNIC */
	__u8  mac[6];
	__u16 mtu;                 /* largest packet without its Ethernet header */
	__u32 flags;
	__u32 reserved;
	char  device[16];          /* on the host, "" where it has none of its own; for people, not for programs */
	__u32 pad[8];
};

#define EUROPA_VNIC_UP         (1u << 0)   /* carrier: a port is attached and the other side is up */

/*
 * Why a packet or an entry was dropped. The first group happens to packets that come in (rx, towards the VR), the second to
 * packets that go out, the third is the VR breaking the contract. Append-only; names in kmod/core/drop.h.
 */
enum europa_drop {
	EUROPA_DROP_RX_NO_SLOT,        /* no EMPTY slot: the VR holds them all */
	EUROPA_DROP_RX_NO_RUN,         /* no run for a frame longer than a slot */
	EUROPA_DROP_RX_RING_FULL,      /* the VR doesn't take what is there: slow, or stopped by its quota */
	EUROPA_DROP_RX_TOO_LONG,       /* longer than a run, or than a slot where there are no runs */
	EUROPA_DROP_RX_DOWN,           /* the region is quiesced, or the vNIC is detached */
	EUROPA_DROP_RX_QUARANTINED,

	EUROPA_DROP_TX_DOWN,           /* the vNIC has no port, or the port is down */
	EUROPA_DROP_TX_FULL,           /* the device or the peer VR didn't take it */
	EUROPA_DROP_TX_TOO_LONG,       /* longer than MTU and header, and no GSO packet */
	EUROPA_DROP_TX_ERROR,          /* the device refused it */

	EUROPA_DROP_BAD_RING,          /* producer - consumer > size */
	EUROPA_DROP_BAD_INDEX,         /* no slot has that index, or it is inside a run */
	EUROPA_DROP_NOT_OWNED,         /* the VR doesn't own that slot (given twice, for example) */
	EUROPA_DROP_BAD_STATE,         /* not PROCESSED */
	EUROPA_DROP_BAD_LENGTH,        /* offset + len beyond the slot, or shorter than an Ethernet header */
	EUROPA_DROP_BAD_OFFLOAD,       /* checksum or GSO fields that can't be true of this frame */
	EUROPA_DROP_BAD_PORTS,         /* replicate to no port, or to one that doesn't exist */

	EUROPA_DROP_RX_MALFORMED,      /* since 1.1, of the first group: no Ethernet frame, or its offloads are none that a VR may send */
	EUROPA_DROPS,                  /* how many there are now */
};

#define EUROPA_DROP_FIRST_VIOLATION EUROPA_DROP_BAD_RING
#define EUROPA_DROP_LAST_VIOLATION  EUROPA_DROP_BAD_PORTS
#define EUROPA_DROPS_MAX       32

struct europa_vnic_stats {         /* in control: one per vNIC; "rx" is what the VR receives */
	__u64 rx_packets, rx_bytes;
	__u64 tx_packets, tx_bytes;
	__u64 rx_batches, tx_batches;
	__u64 wakeups;             /* doorbells rung for this vNIC's rx ring */
	__u64 stalls;              /* since 1.1: seconds in which packets waited in the rx ring and the VR took none */
	__u64 drops[EUROPA_DROPS_MAX];
};

struct europa_vr_stats {           /* in control */
	__u64 free_slots, free_runs;   /* in the switch's hands, EMPTY; refreshed when the switch is idle or asked */
	__u64 violations;              /* sum of all violations; drops[] of a ring that is no vNIC's are counted here alone */
	__u64 dropped;                 /* slots that came back by the free ring */
	__u64 allocated;               /* slots that went out by the alloc ring */
	__u64 kicks;
	__u64 switch_cycles;           /* TSC cycles that the switch spent on this VR */
	__u64 missed_kicks;            /* since 1.1: times that a sleeping switch found work by itself and no kick came for it */
	__u64 drops[EUROPA_DROPS_MAX]; /* of the free and alloc rings */
};

/* Counters that the data plane shows to europa-stat under names of its own ("ttl_exceeded"). In pool: printed escaped. */
struct europa_dp_counter {
	char  name[24];            /* NUL-padded; "": not in use */
	__u64 value;
};

enum europa_slot_state {
	EUROPA_SLOT_EMPTY     = 0,
	EUROPA_SLOT_FILLED    = 1,
	EUROPA_SLOT_PROCESSED = 2,
};

/* europa_slot.flags */
#define EUROPA_SLOT_NEEDS_CSUM   0x01  /* L4 checksum is partial: sum from csum_start to the end, store at csum_start + csum_offset */
#define EUROPA_SLOT_CSUM_VALID   0x02  /* rx: the L4 checksum was checked */
#define EUROPA_SLOT_VLAN         0x04  /* vlan_tci is in force (the tag is not in the frame) */
#define EUROPA_SLOT_REPLICATE    0x08  /* tx: send out of every port in `ports`, whichever tx ring it is on */
#define EUROPA_SLOT_BROADCAST    0x10  /* rx: the frame's destination is a group address */

/* europa_slot.gso_type: the numbers of virtio-net (virtio 1.2, 5.1.6) */
#define EUROPA_GSO_NONE          0
#define EUROPA_GSO_TCPV4         1
#define EUROPA_GSO_UDP           3
#define EUROPA_GSO_TCPV6         4
#define EUROPA_GSO_UDP_L4        5
#define EUROPA_GSO_ECN           0x80

/* Of one super-packet. 32 bytes each of 64 KB: more than any kernel asks for, and few enough that cutting them holds up nobody else. */
#define EUROPA_MAX_SEGMENTS      2048u

/*
 * Metadata of a slot, 32 bytes, in pool. The switch writes all of it at rx; the VR may change all of it, and sets state,
 * and whatever it changed in the packet, before tx. csum_start counts from the frame's first byte, as in virtio-net.
 */
struct europa_slot {
	__u8  state;
	__u8  flags;
	__u8  in_vnic;
	__u8  gso_type;
	__u32 len;                 /* bytes of the frame, from `offset`; Ethernet header included, no FCS */
	__u16 offset;              /* from the slot's start */
	__u16 vlan_tci;
	__u16 vlan_proto;          /* 0x8100 or 0x88a8, host byte order */
	__u16 hdr_len;             /* GSO: bytes of all headers */
	__u16 gso_size;            /* GSO: payload bytes of a segment */
	__u16 csum_start, csum_offset;
	__u16 reserved;
	__u32 hash;                /* flow hash where the NIC gave one, else 0 */
	__extension__ union {
		__u32 tstamp_us;   /* rx: low 32 bits of CLOCK_MONOTONIC in microseconds, 0: not known */
		__u32 ports;       /* tx with EUROPA_SLOT_REPLICATE: bit n is vNIC n */
	};
};

/*
 * The supervisor's verbs: ioctls of /dev/europa for EuropaKM; for europad a SOCK_SEQPACKET socket, one connection a VR, one
 * request and one reply a verb (struct europa_request below), descriptors by SCM_RIGHTS. The connection, or the open
 * /dev/europa, *is* the registration: when it is closed, everything that the switch holds of the VR is freed. A daemon that can't
 * take one more connection sends its reply, which says why, before any request, and closes it.
 *
 * `size` is the size of the caller's structure. Shorter than the switch's: the rest is taken as zero; longer: the
 * rest must be zero (E2BIG).
 */
#define EUROPA_SWITCH_SOCKET   "switch.sock"   /* in the run directory */

/* Kinds of port that a vNIC can be attached to. */
enum europa_port_kind {
	EUROPA_PORT_DEVICE    = 0,     /* a net device of its own on the host, made and removed by the switch */
	EUROPA_PORT_SHARED    = 1,     /* an existing device, shared by rule with other vNICs */
	EUROPA_PORT_VR        = 2,     /* another VR's vNIC, which must ask for this one too (either order) */
	EUROPA_PORT_GENERATOR = 3,     /* makes frames as fast as they are taken and swallows what comes back; to measure */
	EUROPA_PORT_NONE      = 4,     /* nothing: everything sent is counted as TX_DOWN */
	/*
	 * DEVICE, for many small packets: a switch that receives by a socket takes the frames by XDP, before the kernel makes an
	 * sk_buff of each, and without offloads. To a switch without sockets (EuropaKM) it is DEVICE.
	 */
	EUROPA_PORT_XDP       = 5,
};

/*
 * Descriptors that go with it, in this order: control, pool (both O_RDWR), doorbell (write end), kick (read end), and the
 * network namespace in which the VR's devices appear and shared devices are looked up.
 */
struct europa_register {
	__u32 size;
	__u32 flags;               /* EUROPA_REGISTER_ADOPT */
	struct europa_geometry geometry;
	char  name[64];
};

#define EUROPA_REGISTER_ADOPT  (1u << 0)   /* the region was served before: keep rings and owners, repair, go on */

struct europa_attach {             /* in: all but mac/device where zero; out: mac, mtu, device as they are now */
	__u32 size;
	__u32 vnic;
	__u32 kind;                /* enum europa_port_kind */
	__u16 mtu;
	__u8  mac[6];
	char  device[16];          /* DEVICE, XDP: name wanted; SHARED: existing device; VR: unused */
	char  peer[64];            /* VR: the other VR's name; GENERATOR: arguments, "size=64" */
	__u32 peer_vnic;           /* VR */
	char  rule[512];           /* SHARED: text, "" is "mac"; see europa-run(1) for the grammar */
	__u32 filter_len;          /* /dev/europa, rule "filter ...": instructions of the compiled expression */
	__u32 reserved;
	__u64 filter;              /* address of its struct sock_filter[filter_len] in the caller's memory */
};

struct europa_detach {
	__u32 size;
	__u32 vnic;
};

struct europa_quiesce {            /* stop (or go on) filling and taking slots; returns when no slot is in flight */
	__u32 size;
	__u32 on;                  /* 0: go on, or EUROPA_QUIESCE_*; from each to each */
};

#define EUROPA_QUIESCE_ALL     1   /* the switch touches no slot, and no ring but to look */
/*
 * Nothing comes in. What the VR sends still leaves, what it drops is taken back, and it gets slots to send from. Frames wait in the
 * kernel's queue of an own device where there is one (europad), and are else counted as RX_DOWN.
 */
#define EUROPA_QUIESCE_IN      2

struct europa_ask {                /* a request to the data plane, or its withdrawal */
	__u32 size;
	__u32 what;                /* enum europa_asked */
	__u32 request;             /* out: europa_header.request, which the answer will bear */
	__u32 reserved;
};

enum europa_verb {
	EUROPA_REGISTER = 1,
	EUROPA_ATTACH   = 2,
	EUROPA_DETACH   = 3,
	EUROPA_QUIESCE  = 4,
	EUROPA_REFRESH  = 5,       /* bring occupancy in europa_vr_stats up to date; no argument */
	EUROPA_ASK      = 6,
};

struct europa_request {
	__u32 verb;                /* enum europa_verb */
	__u32 major;               /* EUROPA_MAJOR */
	__extension__ union {
		struct europa_register reg;
		struct europa_attach attach;
		struct europa_detach detach;
		struct europa_quiesce quiesce;
		struct europa_ask ask;
	};
};

struct europa_reply {
	__s32 status;              /* 0, or a negative errno */
	__extension__ union {
		__u32 features;    /* to EUROPA_REGISTER */
		__u32 request;     /* to EUROPA_ASK */
	};
	char  text[256];           /* status < 0: one line that says why */
	struct europa_attach attach;   /* to EUROPA_ATTACH: as it is now */
};

/*
 * The same verbs as ioctls of /dev/europa, each with the argument above. What the number encodes of the argument's size is not looked
 * at: `size` in the argument is. REGISTER wants what a socket would carry as descriptors; CAP_NET_ADMIN in the user namespace that owns the
 * network namespace is needed. What the VR itself is handed can do nothing here.
 *
 * A failed verb leaves one line that says why, to be fetched with EUROPA_IOC_WHY. poll() says POLLHUP when the module is about to be
 * unloaded (its parameter `release`): close the file, and have the region adopted by whoever serves it next.
 */
#define EUROPA_DEVICE          "/dev/europa"

struct europa_ioc_register {
	__u32 size;
	__u32 features;            /* out */
	__s32 control, pool;       /* memfds, O_RDWR */
	__s32 doorbell, kick;      /* pipes: its write end, its read end */
	__s32 netns;
	__s32 pid;                 /* a child of the caller: the module's work for the VR is charged to its control group; 0: to nobody's */
	struct europa_register reg;
};

#define EUROPA_IOC_MAGIC       0xe9
#define EUROPA_IOC_REGISTER    _IOWR(EUROPA_IOC_MAGIC, EUROPA_REGISTER, struct europa_ioc_register)
#define EUROPA_IOC_ATTACH      _IOWR(EUROPA_IOC_MAGIC, EUROPA_ATTACH, struct europa_attach)
#define EUROPA_IOC_DETACH      _IOW(EUROPA_IOC_MAGIC, EUROPA_DETACH, struct europa_detach)
#define EUROPA_IOC_QUIESCE     _IOW(EUROPA_IOC_MAGIC, EUROPA_QUIESCE, struct europa_quiesce)
#define EUROPA_IOC_REFRESH     _IO(EUROPA_IOC_MAGIC, EUROPA_REFRESH)
#define EUROPA_IOC_ASK         _IOWR(EUROPA_IOC_MAGIC, EUROPA_ASK, struct europa_ask)
#define EUROPA_IOC_WHY         _IOR(EUROPA_IOC_MAGIC, 0x10, char[256])

#ifdef __cplusplus
#define EUROPA_ASSERT(what) static_assert(what, #what)
#else
#define EUROPA_ASSERT(what) __extension__ _Static_assert(what, #what)
#endif
EUROPA_ASSERT(sizeof(struct europa_slot) == 32);
EUROPA_ASSERT(sizeof(struct europa_line) == 64);
EUROPA_ASSERT(sizeof(struct europa_vnic) == 64);
EUROPA_ASSERT(sizeof(struct europa_pool_header) == 64);
EUROPA_ASSERT(sizeof(struct europa_dp_counter) == 32);
EUROPA_ASSERT(sizeof(struct europa_vnic_stats) == 64 + 8 * EUROPA_DROPS_MAX);
EUROPA_ASSERT(sizeof(struct europa_vr_stats) == 64 + 8 * EUROPA_DROPS_MAX);
EUROPA_ASSERT(sizeof(struct europa_geometry) == 32);
EUROPA_ASSERT(sizeof(struct europa_offsets) == 64);
EUROPA_ASSERT(sizeof(struct europa_state_header) == 64);
/* What minor 1 appended filled the last line up: no offset of minor 0 has moved. */
EUROPA_ASSERT(sizeof(struct europa_header) == 8 + 8 + 32 + 64 + 8 + 64 + 8);
EUROPA_ASSERT(__builtin_offsetof(struct europa_header, request) == 188);
EUROPA_ASSERT(__builtin_offsetof(struct europa_pool_header, answered) == 12);
EUROPA_ASSERT(__builtin_offsetof(struct europa_pool_header, state_len) == 24);
EUROPA_ASSERT(sizeof(struct europa_reply) == 8 + 256 + sizeof(struct europa_attach));
EUROPA_ASSERT(EUROPA_DROPS <= EUROPA_DROPS_MAX);

#endif

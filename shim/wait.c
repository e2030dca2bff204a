// SPDX-License-Identifier: MIT
/*
 * Adaptive polling. A data plane that found nothing waits in one of three ways:
 *
 *   nap       a short timer sleep, at rates at which so many packets will have come meanwhile that they pay for the timer. The switch
 *             needn't ring, and keeps the cache lines that it writes, and the CPU where it has the same one: at the highest rates, too, this
 *             is faster than to spin.
 *   spin      at lower rates a few microseconds before it sleeps, where that was long enough lately: the answer to what was just
 *             sent is quicker than a wake-up. It costs CPU time that a VR's quota may need for packets, so it is paid
 *             with tokens, which flow in at 5 % of the quota.
 *   sleep     on the doorbell, until the switch rings. An idle VR costs nothing.
 *
 * Where the packets that are there can't be sent on, because a tx ring is full, it naps, longer each time: the switch says nothing when it
 * has emptied a ring, and where it shares the CPU it needs it for that.
 *
 * A data plane that waits has nothing in its hands: this is also where it is asked for its state (state.c).
 *
 * Which one: eu->idle_turns counts the waits since the last packet, and the rate is measured from the rx rings' indexes, so
 * that the fast path carries no clock and no counter for this.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "shim/private.h"

#define NS_PER_MS        1000000

#define LOOK_TURNS       16            /* of relaxing between two looks: each look takes the line from the switch that writes it */
#define SPIN_MAX_NS      50000
#define SPIN_MIN_NS      2000          /* less is none */
#define TOKENS_PERMILLE  50            /* of the quota */
#define TOKENS_SAVED_MS  20            /* how long tokens are saved up */

#define NAP_MAX_NS       100000
#define NAP_NS_A_PACKET  64            /* that a nap's timer may cost for each packet expected meanwhile, or the doorbell is cheaper */

#define FULL_NAP_NS      50000         /* a switch that is at work sends some fifty packets meanwhile; twice that the next time, and so on */
#define FULL_NAP_TWICE   5

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
	__builtin_ia32_pause();
#elif defined(__aarch64__)
	__asm__ volatile("yield");
#else
	barrier();
#endif
}

static uint64_t clock_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 * NS_PER_MS + (uint64_t)now.tv_nsec;
}

/* A ring that makes no sense has nothing to read, or the wait would never end. */
static bool packets_ready(struct europa *eu)
{
	for (unsigned n = 0; n < eu->nvnics; n++) {
		if (ring_peek(&eu->rx[n], 1) == 1)
			return true;
	}
	return false;
}

/* ---- pacing ---- */

static int64_t tokens_for(const struct pacer *pacer, uint64_t ns)
{
	return (int64_t)(ns * pacer->quota_permille / 1000 * TOKENS_PERMILLE / 1000);
}

/* Less under a quota. */
static uint32_t longest_spin(const struct pacer *pacer)
{
	return SPIN_MAX_NS * pacer->quota_permille / 1000;
}

static uint32_t packets_received(const struct europa *eu)
{
	uint32_t received = 0;

	for (unsigned n = 0; n < eu->nvnics; n++)
		received += eu->rx[n].index;
	return received;
}

/*
 * What a nap takes beyond its length. On a virtual machine that is ten times what it is elsewhere, because the hypervisor sets the timer; the CPU
 * is busy with it, and nobody else has it meanwhile.
 */
static uint32_t measure_nap(void)
{
	const struct timespec shortest = { .tv_nsec = 1 };
	uint64_t least = NAP_MAX_NS;

	prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
	for (unsigned i = 0; i < 4; i++) {
		uint64_t start = clock_ns(), took;

		nanosleep(&shortest, NULL);
		took = clock_ns() - start;
		if (took < least)
			least = took;
	}
	return (uint32_t)least;
}

void pacer_init(struct europa *eu)
{
	struct pacer *pacer = &eu->priv->pacer;
	const char *text = getenv("EUROPA_CPU_PERMILLE");
	long permille = text ? strtol(text, NULL, 10) : 0;

	pacer->quota_permille = permille > 0 && permille < 1000 ? (uint32_t)permille : 1000;
	pacer->tokens = tokens_for(pacer, TOKENS_SAVED_MS * NS_PER_MS);
	pacer->spin_ns = longest_spin(pacer);
	pacer->nap_cost = measure_nap();
	pacer->received = packets_received(eu);
	pacer->refilled = pacer->sampled = clock_ns();
}

/* europa-update may have changed it. Not told: what the environment said stays. */
static void learn_quota(struct europa *eu)
{
	struct pacer *pacer = &eu->priv->pacer;
	uint32_t permille = READ_ONCE(eu->header->cpu_permille);

	if (permille > 1000)
		permille = 1000;
	if (!permille || permille == pacer->quota_permille)
		return;
	pacer->quota_permille = permille;
	pacer->spin_ns = longest_spin(pacer);
}

static void refill(struct pacer *pacer, uint64_t now)
{
	uint64_t elapsed = now - pacer->refilled;
	int64_t most = tokens_for(pacer, TOKENS_SAVED_MS * NS_PER_MS);

	/* Long enough to fill up from any debt; also keeps the multiplication small. */
	if (elapsed > 1000ull * NS_PER_MS)
		elapsed = 1000ull * NS_PER_MS;
	pacer->tokens += tokens_for(pacer, elapsed);
	if (pacer->tokens > most)
		pacer->tokens = most;
	pacer->refilled = now;
}

/* Measured over a millisecond at least; after a long sleep it is low, as it should be. */
static void measure_rate(struct europa *eu, uint64_t now)
{
	struct pacer *pacer = &eu->priv->pacer;
	uint64_t elapsed = now - pacer->sampled;
	uint32_t received = packets_received(eu);

	if (elapsed < NS_PER_MS)
		return;
	pacer->rate = (uint32_t)((uint64_t)(received - pacer->received) * NS_PER_MS / elapsed);
	pacer->received = received;
	pacer->sampled = now;
}

/* A sleep was so long: a spin of that length would have been enough, or it is useless to try. */
static void learn_from_sleep(struct pacer *pacer, uint64_t slept)
{
	uint32_t longest = longest_spin(pacer);

	if (slept > longest)
		pacer->spin_ns /= 2;
	else
		pacer->spin_ns = pacer->spin_ns ? pacer->spin_ns * 2 : 2 * SPIN_MIN_NS;
	if (pacer->spin_ns > longest)
		pacer->spin_ns = longest;
	if (pacer->spin_ns < SPIN_MIN_NS)
		pacer->spin_ns = 0;
}

/* ---- the three ways ---- */

/* true: there are packets. */
static bool spin(struct europa *eu, uint64_t start)
{
	struct pacer *pacer = &eu->priv->pacer;
	uint64_t now = start;
	bool found = false;
	int64_t most;

	learn_quota(eu);
	refill(pacer, now);
	most = pacer->spin_ns;
	if (most > pacer->tokens)
		most = pacer->tokens;
	while (!found && (int64_t)(now - start) < most) {
		for (unsigned turn = 0; turn < LOOK_TURNS; turn++)
			relax();
		found = packets_ready(eu);
		now = clock_ns();
	}
	pacer->tokens -= (int64_t)(now - start);
	return found;
}

/* Packets that may come during a nap: far less than a ring takes, or than there are slots to receive in. */
static uint32_t nap_packets(const struct europa_geometry *geo)
{
	uint32_t slots = geo->nslots > geo->alloc_target ? geo->nslots - geo->alloc_target : 1;

	return (slots < geo->ring_size ? slots : geo->ring_size) / 4;
}

/* 0: not at this rate. */
static long nap_length(const struct europa *eu)
{
	uint64_t rate = eu->priv->pacer.rate;
	uint64_t length;

	if (!rate)
		return 0;
	length = (uint64_t)nap_packets(&eu->geometry) * NS_PER_MS / rate;
	if (length > NAP_MAX_NS)
		length = NAP_MAX_NS;
	return rate * length / NS_PER_MS * NAP_NS_A_PACKET < eu->priv->pacer.nap_cost ? 0 : (long)length;
}

static int nap(struct europa *eu, long ns)
{
	struct pacer *pacer = &eu->priv->pacer;
	const struct timespec length = { .tv_nsec = ns };

	/* The default slack of 50 us would double a nap. It is a property of the thread that waits. */
	if (!pacer->slack_set) {
		prctl(PR_SET_TIMERSLACK, 1ul, 0ul, 0ul, 0ul);
		pacer->slack_set = true;
	}
	return nanosleep(&length, NULL) < 0 ? -EINTR : 1;
}

static long full_nap_length(uint64_t turn)
{
	return FULL_NAP_NS << (turn < FULL_NAP_TWICE ? turn : FULL_NAP_TWICE);
}

void drain_doorbell(struct europa *eu)
{
	char bytes[64];

	while (read(eu->doorbell_fd, bytes, sizeof(bytes)) == (ssize_t)sizeof(bytes))
		;
}

/*
 * Whoever has taken the last slot of the alloc ring may want more. The last that he has seen there: what was put in since then he may have looked
 * for in vain, and wait for.
 */
static bool lacks_slots(const struct europa *eu)
{
	return eu->geometry.alloc_target && eu->alloc.peer == eu->alloc.index;
}

/* The switch fills the alloc ring unasked, and may have gone to sleep with the ring full: it has to be told, too. */
static bool announce_lack(struct europa *eu)
{
	ring_sleep(&eu->alloc);
	if (ring_wants_wakeup(&eu->free))
		europa_kick(eu);
	return ring_peek(&eu->alloc, 1) == 1;
}

/* true: packets, or slots, are there already. */
static bool announce_sleep(struct europa *eu)
{
	bool ready = lacks_slots(eu) && announce_lack(eu);

	for (unsigned n = 0; n < eu->nvnics; n++)
		ring_sleep(&eu->rx[n]);
	return ready || packets_ready(eu);
}

int europa_sleep(struct europa *eu)
{
	/* Again: whoever stood still has drained the doorbell, and with it what was rung for the next request. */
	while (state_is_asked(eu) && state_serve(eu))
		;
	return announce_sleep(eu) ? -EAGAIN : eu->doorbell_fd;
}

static void clear_wakeups(struct europa *eu)
{
	for (unsigned n = 0; n < eu->nvnics; n++)
		ring_awake(&eu->rx[n]);
	ring_awake(&eu->alloc);
}

void europa_awake(struct europa *eu)
{
	clear_wakeups(eu);
	drain_doorbell(eu);
}

/* What poll says: the doorbell rang, or the time is over, or a signal came. */
int poll_doorbell(struct europa *eu, int timeout_ms)
{
	struct pollfd doorbell = { .fd = eu->doorbell_fd, .events = POLLIN };
	int ready = poll(&doorbell, 1, timeout_ms);

	if (ready < 0)
		return -EINTR;
	if (ready == 0)
		return 0;
	drain_doorbell(eu);
	/* Nobody holds the other end any more: poll would return at once for ever. */
	if (!(doorbell.revents & POLLIN))
		return nap(eu, NS_PER_MS);
	return 1;
}

static int sleep_on_doorbell(struct europa *eu, int timeout_ms)
{
	int result = 1;

	if (!announce_sleep(eu))
		result = poll_doorbell(eu, timeout_ms);
	clear_wakeups(eu);
	return result ? result : packets_ready(eu);
}

/*
 * Packets first: what is taken now needn't be saved. But a data plane may leave some in a ring for ever, that of a vNIC
 * that it doesn't use: it has taken none since it last waited.
 */
static bool is_to_save(struct europa *eu, bool ready)
{
	struct state *state = &eu->priv->state;
	uint32_t before = state->received;

	if (!state_is_asked(eu))
		return false;
	state->received = packets_received(eu);
	return !ready || state->received == before;
}

int europa_wait(struct europa *eu, int timeout_ms)
{
	uint64_t turn, start;
	long length;
	bool ready = packets_ready(eu);
	int result;

	if (is_to_save(eu, ready) && state_serve(eu))
		return 1;
	if (timeout_ms == 0 || (ready && europa_tx_room_everywhere(eu, 1)))
		return ready;

	turn = eu->idle_turns++;
	if (ready)
		return nap(eu, full_nap_length(turn));
	start = clock_ns();
	measure_rate(eu, start);
	/* After a nap without a packet the rate was yesterday's. */
	length = turn == 0 ? nap_length(eu) : 0;
	if (length)
		return nap(eu, length);
	if (turn == 0 && spin(eu, start))
		return 1;
	result = sleep_on_doorbell(eu, timeout_ms);
	learn_from_sleep(&eu->priv->pacer, clock_ns() - start);
	return result;
}

// SPDX-License-Identifier: MIT
/*
 * Who sleeps is woken: the protocol of kmod/core/ring.h between a switch and a VR, both of which poll, announce that they sleep, and sleep
 * on a pipe. tests/model/check.sh has spin go through every interleaving, and then through those without one of the barriers or checks,
 * of which each must turn out to be needed.
 *
 * PACKETS frames come in by a device, pass the rx ring, the VR, the tx ring, and have left. When nobody can do anything any more, all
 * must have left. If one waits in a ring beside somebody who sleeps, a wake-up was lost.
 *
 *   europad      runtime/engine/poll.c: one thread that receives, transmits, rings the doorbell at the end of a round, sleeps in ppoll
 *   -DMODULE     kmod/worker.c: softirqs receive and wake a worker, which transmits and rings; the kick runs a function of it
 *   the VR       shim/wait.c: naps and spins (it looks again), or announces, looks again and sleeps in poll
 *
 * Memory: a store is seen by the other side at some time later, each variable's stores in their order but variables in any, until
 * a full barrier. That is weaker than x86 and what arm64 may do with stores. Loads are in program order: ring.h's are
 * acquire, or follow a full barrier.
 */
#ifndef PACKETS
#define PACKETS 3
#endif
#define PIPE 1                          /* bytes that a pipe holds: a write to a full one does nothing */

/* What a side has stored, and what the other one sees. */
byte rx_prod, rx_prod_seen, tx_prod, tx_prod_seen;
bit vr_sleeps, vr_sleeps_seen, switch_sleeps, switch_sleeps_seen;
/* need_wakeup's stores on their way: more than one may be. */
chan vr_sleeps_on_its_way = [3] of { bit };
chan switch_sleeps_on_its_way = [3] of { bit };

byte rx_cons, tx_cons, left;            /* each side's own */
byte device, doorbell, kick;            /* what poll says POLLIN for */

active proctype memory()
{
	do
	:: vr_sleeps_on_its_way?vr_sleeps_seen
	:: switch_sleeps_on_its_way?switch_sleeps_seen
	:: d_step { rx_prod_seen < rx_prod -> rx_prod_seen++ }
	:: d_step { tx_prod_seen < tx_prod -> tx_prod_seen++ }
	od
}

inline switch_barrier()
{
	d_step {
		rx_prod_seen = rx_prod;
		do
		:: switch_sleeps_on_its_way?switch_sleeps_seen
		:: empty(switch_sleeps_on_its_way) -> break
		od
	}
}

inline vr_barrier()
{
	d_step {
		tx_prod_seen = tx_prod;
		do
		:: vr_sleeps_on_its_way?vr_sleeps_seen
		:: empty(vr_sleeps_on_its_way) -> break
		od
	}
}

inline write_byte(pipe)
{
	d_step { if :: pipe < PIPE -> pipe++ :: else fi }
}

/* ---- the VR ---- */

/* The kick is written; in the module that calls a function which wakes the worker. */
inline write_kick()
{
#ifdef MODULE
	d_step {
		if
		:: kick < PIPE ->
			kick++;
			if
			:: !kicked -> kicked = 1; woken = 1; worker_runs = 1
			:: else
			fi
		:: else
		fi
	}
#else
	write_byte(kick)
#endif
}

#ifdef MODULE
/* member->flags, and whether the worker's state is TASK_RUNNING. Atomic bits and barriers of the kernel's: seen at once. */
bit kicked, woken, to_ring;
bit worker_runs = 1;
#endif

active proctype vr()
{
	do
	:: rx_prod_seen != rx_cons ->
		/* europa_rx, europa_tx: one at a time is the finest there is */
		rx_cons++;
		tx_prod++;
#ifndef NO_E_IN_VR
		vr_barrier();                           /* E in ring_wants_wakeup */
#endif
		if
		:: switch_sleeps_seen -> write_kick()
		:: else
		fi
	:: rx_prod_seen == rx_cons ->
		/* Another turn after a nap or a spin, or sleep_on_doorbell(). */
		if
		:: skip
		:: vr_sleeps_on_its_way!1;              /* ring_sleep */
#ifndef NO_F_IN_VR
			vr_barrier();                   /* F */
#endif
			if
#ifndef NO_SECOND_LOOK_IN_VR
			:: rx_prod_seen != rx_cons
#endif
			:: else ->
				doorbell > 0;           /* poll() */
				doorbell = 0            /* drain() */
			fi;
			vr_sleeps_on_its_way!0          /* clear_wakeups() */
		fi
	od
}

/* ---- the switch ---- */

inline transmit()
{
	if
	:: tx_prod_seen != tx_cons -> tx_cons++; left++; work = 1
	:: else
	fi
}

inline receive()
{
	device--;
	rx_prod++;
#ifndef NO_E_IN_SWITCH
	switch_barrier();                               /* E in ring_wants_wakeup */
#endif
}

#ifndef MODULE

active proctype europad()
{
	bit work, ring;

	do
	:: work = 0;
		transmit();
		if
		:: device > 0 ->
			receive();
			if :: vr_sleeps_seen -> ring = 1 :: else fi;
			work = 1
		:: else
		fi;
		if
		:: ring -> ring = 0; write_byte(doorbell)       /* publish() */
		:: else
		fi;
		if
		:: work                                         /* another round */
		:: !work                                        /* the same, for a while */
		:: !work ->
			switch_sleeps_on_its_way!1;             /* announce() */
#ifndef NO_F_IN_SWITCH
			switch_barrier();                       /* F */
#endif
			if
#ifndef NO_SECOND_LOOK_IN_SWITCH
			:: tx_prod_seen != tx_cons
#endif
			:: else -> (kick > 0 || device > 0)     /* ppoll() */
			fi;
			switch_sleeps_on_its_way!0;             /* awake() */
			if
			:: kick > 0 -> kick--                   /* drain_kick() is bounded: some may be left */
			:: kick > 0 -> kick = 0
			:: else
			fi
		fi
	od
}

#else

active proctype softirq()
{
	do
	:: device > 0 ->
		receive();
		if
		:: vr_sleeps_seen ->
			to_ring = 1;
			d_step { woken = 1; worker_runs = 1 }   /* worker_wake() */
		:: else
		fi
	od
}

active proctype worker()
{
	bit work;

	do
	:: work = 0;
		woken = 0;
		switch_barrier();
		if                                              /* drain_kick() */
		:: kicked ->
			kicked = 0;
			if
			:: kick > 0 -> kick--; kicked = 1
			:: else
			fi
		:: else
		fi;
		transmit();
		if
		:: to_ring -> to_ring = 0; write_byte(doorbell) /* ring_doorbell() */
		:: else
		fi;
		if
		:: work
		:: !work
		:: !work ->                                     /* sleep_until_work() */
			worker_runs = 0;
			switch_barrier();                       /* set_current_state() */
			switch_sleeps_on_its_way!1;
#ifndef NO_F_IN_SWITCH
			switch_barrier();                       /* F */
#endif
			if
#ifndef NO_SECOND_LOOK_IN_SWITCH
			:: tx_prod_seen != tx_cons
#endif
#ifndef NO_FLAGS_BEFORE_SLEEP
			:: kicked || woken || to_ring
#endif
			:: else -> worker_runs                  /* schedule() */
			fi;
			worker_runs = 1;
			switch_sleeps_on_its_way!0
		fi
	od
}

#endif

/* ---- the world ---- */

active proctype sender()
{
	byte n;

	do
	:: n < PACKETS -> device++; n++
	:: else -> break
	od
}

active proctype judge()
{
	timeout;
	assert(left == PACKETS)
}

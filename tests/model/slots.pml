// SPDX-License-Identifier: MIT
/*
 * A VR that waits for a slot of its alloc ring gets it, where the switch has one: the same as wakeup.pml for a ring whose consumer must
 * wake its producer, too, because the producer fills it without being asked and sleeps when it is full.
 *
 * europa_sleep has two barriers there, F in ring_sleep and E in ring_wants_wakeup; one will do, and is what is taken out here.
 *
 * The VR wants SLOTS slots, one after the other; the ring holds one. When nobody can do anything any more, it must have them.
 */
#ifndef SLOTS
#define SLOTS 4
#endif

byte prod, prod_seen, cons, cons_seen;
bit vr_sleeps_seen, switch_sleeps_seen;
chan vr_sleeps_on_its_way = [3] of { bit };
chan switch_sleeps_on_its_way = [3] of { bit };
byte doorbell, kick;

active proctype memory()
{
	do
	:: vr_sleeps_on_its_way?vr_sleeps_seen
	:: switch_sleeps_on_its_way?switch_sleeps_seen
	:: d_step { prod_seen < prod -> prod_seen++ }
	:: d_step { cons_seen < cons -> cons_seen++ }
	od
}

inline switch_barrier()
{
	d_step {
		prod_seen = prod;
		do
		:: switch_sleeps_on_its_way?switch_sleeps_seen
		:: empty(switch_sleeps_on_its_way) -> break
		od
	}
}

inline vr_barrier()
{
	d_step {
		cons_seen = cons;
		do
		:: vr_sleeps_on_its_way?vr_sleeps_seen
		:: empty(vr_sleeps_on_its_way) -> break
		od
	}
}

active proctype vr()
{
	do
	:: cons == SLOTS -> break
	:: cons < SLOTS && prod_seen != cons ->
		cons++                                  /* europa_alloc */
	:: cons < SLOTS && prod_seen == cons ->
		if
		:: skip                                 /* another turn */
		:: vr_sleeps_on_its_way!1;              /* europa_sleep: ring_sleep(alloc) */
#ifndef NO_F_IN_VR
			vr_barrier();                   /* F */
#endif
#ifndef NO_KICK
			if                              /* ring_wants_wakeup(free): the switch sleeps */
			:: switch_sleeps_seen -> kick = 1
			:: else
			fi;
#endif
			if
#ifndef NO_SECOND_LOOK_IN_VR
			:: prod_seen != cons
#endif
			:: else ->
				doorbell > 0;
				doorbell = 0
			fi;
			vr_sleeps_on_its_way!0
		fi
	od
}

active proctype switch()
{
	bit work;

	do
	:: work = 0;
		if
		:: prod < SLOTS && prod - cons_seen == 0 ->
			prod++;                         /* give_empty() */
			work = 1;
#ifndef NO_E_IN_SWITCH
			switch_barrier();               /* E in ring_wants_wakeup(alloc) */
#endif
			if
			:: vr_sleeps_seen -> doorbell = 1
			:: else
			fi
		:: else
		fi;
		if
		:: work
		:: !work
		:: !work ->
			switch_sleeps_on_its_way!1;
#ifndef NO_F_IN_SWITCH
			switch_barrier();               /* F */
#endif
			if
#ifndef NO_SECOND_LOOK_IN_SWITCH
			:: prod < SLOTS && prod - cons_seen == 0        /* vr_has_work(): the alloc ring lacks slots */
#endif
			:: else -> kick > 0
			fi;
			switch_sleeps_on_its_way!0;
			kick = 0
		fi
	od
}

active proctype judge()
{
	timeout;
	assert(cons == SLOTS)
}

/*
 * The doorbell of src/ring/doorbell.ts: producers that publish and ring, and a writer that lingers, parks and drains.
 *
 * One statement (or atomic block) here is one atomic access there, with the plain code after it. JavaScript's Atomics are
 * sequentially consistent: all of them, on all words, happen in one order that each thread's own order is part of. Spin puts
 * statements in every such order and in no other. The bytes of records are plain stores; the store of head is what orders them,
 * and lane.pml looks at that. Here a record is the step of head by one.
 *
 * The model does not count the bell's generation, since the code only asks whether it is still the same: each thread that keeps a
 * value of the bell has a flag that the next change of the generation clears. So the generation never wraps here; doorbell.ts
 * argues why 30 bits are enough.
 *
 * A producer may be terminated after every access (OR_DIE). Every run ends, since the writer loops only when a producer made a
 * step: "eventually" means "when no process can move any more", which Promela calls timeout.
 *
 * What must hold, see judge():
 *   1. When all is at rest, every record is drained whose producer finished its ring.
 *   2. When a later ring has come to rest too, every published record is drained, also those of the dead.
 *   3. Only the parked writer is left blocked (spin's own check for invalid end states).
 *
 * Mutants, each of which must be rejected (check.mjs): NO_SECOND_LOOK, PRODUCER_CLEARS, WAIT_WITHOUT_COMPARE, SAME_GENERATION,
 * RING_BEFORE_PUBLISH.
 */

#define PRODUCERS 2
#define RECORDS   3        /* that each producer pushes */

#define RUNNING   0
#define LINGERING 1
#define PARKED    2

byte head[PRODUCERS];      /* published records */
byte tail[PRODUCERS];      /* drained records */

byte bell_state;
bool rung_now[PRODUCERS];  /* the generation is the one that this producer's last ring made */
bool announced_now;        /* the generation is the one that the writer's last announcement made */
bool asleep;               /* the writer sits in Atomics.wait */

byte finished[PRODUCERS];  /* records whose ring is finished: for judge(), no part of the protocol */
byte over;                 /* producers that are done or dead: the same */

#define OR_DIE if :: true :: goto gone fi

inline next_generation() {
	rung_now[0] = false;
	rung_now[1] = false;
	announced_now = false
}

inline publish() {
	atomic { head[me] = head[me] + 1; OR_DIE }
}

inline ring(urgent) {
	/* The load of the bell, and everything that is decided from it. */
	atomic {
		needed = (bell_state == PARKED || (bell_state == LINGERING && urgent));
		needed = needed && !(rung_now[me] && rung_state == bell_state);
		OR_DIE
	}
	if
	:: !needed
	:: needed ->
#ifdef PRODUCER_CLEARS
		atomic { bell_state = RUNNING; OR_DIE };
#else
		atomic { next_generation(); rung_now[me] = true; rung_state = bell_state; OR_DIE };
#endif
		/* The notify: wakes the writer if it sleeps, else leaves no trace. */
		atomic { asleep = false; OR_DIE }
	fi;
	d_step { needed = false; finished[me] = pushed + 1 }
}

proctype producer(byte me) {
	byte pushed;
	byte rung_state;
	bool needed;

	do
	:: pushed < RECORDS ->
#ifdef RING_BEFORE_PUBLISH
		ring(true);
		publish();
#else
		publish();
		/* The last ring is urgent. For an earlier one any urgency is tried. */
		if
		:: ring(true)
		:: pushed + 1 < RECORDS -> ring(false)
		fi;
#endif
		pushed++
	:: else -> break
	od;
gone:
	over++
}

inline announce(state) {
	atomic {
#ifndef SAME_GENERATION
		next_generation();
#endif
		announced_now = true;
		bell_state = state
	}
}

/* Looks at every head, one after the other. */
inline look() {
#ifdef NO_SECOND_LOOK
	skip
#else
	if :: head[0] != tail[0] -> goto awake :: else fi;
	if :: head[1] != tail[1] -> goto awake :: else fi
#endif
}

/* Atomics.wait: its compare and its falling asleep are one step. */
inline fall_asleep(state) {
#ifdef WAIT_WITHOUT_COMPARE
	asleep = true
#else
	asleep = (announced_now && bell_state == state)
#endif
}

proctype writer() {
drain:
	tail[0] = head[0];
	tail[1] = head[1];

	announce(LINGERING);
	look();
	fall_asleep(LINGERING);
	if
	:: !asleep -> goto awake
	:: asleep = false          /* timed out */
	fi;

	announce(PARKED);
	look();
	fall_asleep(PARKED);
end_parked:
	!asleep;

awake:
	bell_state = RUNNING;
	goto drain
}

proctype judge() {
	timeout;
	assert(over == PRODUCERS);
	assert(tail[0] >= finished[0] && tail[1] >= finished[1]);
	/* Another thread rings for a reason of its own. */
	if
	:: atomic { bell_state != RUNNING -> next_generation() };
		asleep = false
	:: else
	fi;
	timeout;
	assert(tail[0] == head[0] && tail[1] == head[1])
}

init {
	atomic { run producer(0); run producer(1); run writer(); run judge() }
}

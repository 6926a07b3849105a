/*
 * A producer that polls the acknowledgement slot, and the writer that fills it: src/ring/ack-slot.ts.
 *
 * One statement (or atomic block) here is one access there; all atomic ones happen in one order, see doorbell.pml. A run is two
 * numbers that must belong together, plain stores and loads, each a step of its own. The producer polls, looks and stops as often
 * as it likes, and stops in the end.
 *
 * What must hold: the producer never sees half of a run, and each run goes exactly one way, by the slot or by a message.
 *
 * Mutants, each of which must be rejected (check.mjs): BLIND_STOP, BLIND_FILL, FILL_FIRST, TAKE_LATE, NO_LOOK.
 */

#define RUNS  3
#define TURNS 4            /* of the producer */

mtype = { none, polling, filled };

mtype poll = none;         /* the word */
byte first, lsn;           /* the numbers */
byte seen[RUNS + 1];       /* how often each run has reached the producer, by either way */

inline take(next) {
#ifdef TAKE_LATE
	poll = next;
	a = first;
	b = lsn;
#else
	a = first;
	b = lsn;
	poll = next;
#endif
	atomic { assert(a == b && a > 0); seen[a]++; a = 0; b = 0 }
}

proctype producer() {
	byte turn, a, b;
	mtype before;

	do
	:: turn < TURNS ->
		poll = polling;
		do
		:: before = poll;
			if
			:: before == filled -> take(polling)
			:: else
			fi
		:: break
		od;
#ifdef BLIND_STOP
		before = poll;
		poll = (before == polling -> none : before);
#else
		atomic {
			before = poll;
			if
			:: before == polling -> poll = none
			:: else
			fi
		};
#endif
		if
		:: before == filled -> take(none)
		:: else
		fi;
		turn++
	:: else -> break
	od
}

proctype writer() {
	byte entry = 1;
	mtype before;

	do
	:: entry <= RUNS ->
#ifndef NO_LOOK
		before = poll;
		if
		:: before != polling -> goto post
		:: else
		fi;
#endif
#ifndef FILL_FIRST
		first = entry;
		lsn = entry;
#endif
#ifdef BLIND_FILL
		poll = filled;
		before = polling;
#else
		atomic {
			before = poll;
			if
			:: before == polling -> poll = filled
			:: else
			fi
		};
#endif
#ifdef FILL_FIRST
		if
		:: before == polling -> first = entry; lsn = entry
		:: else
		fi;
#endif
		if
		:: before == polling -> goto gone
		:: else
		fi;
post:
		seen[entry]++;
gone:
		entry++
	:: else -> break
	od
}

init {
	atomic { run producer(); run writer() };
	(_nr_pr == 1);
	/* A run that fills the slot and is never taken is lost: the last stop must have left none. */
	assert(poll != filled && seen[1] == 1 && seen[2] == 1 && seen[3] == 1)
}

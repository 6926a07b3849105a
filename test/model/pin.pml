/*
 * A reader that pins a segment, and retention that removes segments: `pin` and `giveUp` of src/ring/log-status.ts.
 *
 * One statement (or atomic block) here is one atomic access there; all of them happen in one order, see doorbell.pml. Segment s
 * begins with LSN s, so that the first LSN kept is the number of the first segment kept. The reader stands for all of main: what
 * it stores is the lowest pin of several readers, in any order, up and down. The writer wants as much as it may have at each
 * turn, or less.
 *
 * What must hold: a segment that was pinned in time, and those after it, are not removed before the reader releases it. And if a
 * reader learns that it came too late, its segment is below the first LSN, now and ever after.
 *
 * Mutants, each of which must be rejected (check.mjs): NO_BIT, BIT_FIRST, LOOK_FIRST, NO_COMPARE.
 */

#define LIVE  3            /* the live segment, never given up */
#define TURNS 3            /* of each side */
#define NONE  255

byte first;                /* the word of firstLsn: the value, */
bool marked;               /* and PINNED_MEANWHILE */
byte pinned = NONE;

byte removed;              /* files below it are gone */
byte held = NONE;          /* the segment that the reader was promised: for the assertions, not part of the protocol */

proctype reader() {
	byte turn, segment, answer;

	do
	:: turn < TURNS ->
		if
		:: segment = 0
		:: segment = 1
		:: segment = 2
		fi;
		/* Going up, the next segment is held already. Going down, the reader may come too late. */
		held = (held <= segment -> segment : NONE);
#ifdef BIT_FIRST
		atomic { answer = first; marked = true };
		pinned = segment;
#else
		pinned = segment;
#ifdef NO_BIT
		answer = first;
#else
		atomic { answer = first; marked = true };
#endif
#endif
		if
		:: answer <= segment -> atomic { held = segment; assert(removed <= segment) }
		:: else -> assert(held == NONE && first > segment)
		fi;
		if
		:: held = NONE; pinned = NONE; marked = true
		:: skip
		fi;
		turn++
	:: else -> break
	od
}

proctype writer() {
	byte turn, before, seen, next;
	bool exchanged;

	do
	:: turn < TURNS ->
again:
#ifdef LOOK_FIRST
		seen = pinned;
		atomic { before = first; marked = false };
#else
		atomic { before = first; marked = false };
		seen = pinned;
#endif
		/* As much as may go, or less. */
		next = (seen < LIVE -> seen : LIVE);
		if
		:: next > before + 1 -> next = before + 1
		:: skip
		fi;
		if
		:: next <= before -> goto done
		:: else
		fi;
		atomic {
#ifdef NO_COMPARE
			exchanged = true;
#else
			exchanged = (first == before && !marked);
#endif
			if
			:: exchanged -> first = next; marked = false
			:: else
			fi
		};
		if
		:: !exchanged -> goto again
		:: else
		fi;
		atomic { removed = next; assert(held == NONE || removed <= held) };
done:
		turn++
	:: else -> break
	od
}

init {
	atomic { run reader(); run writer() }
}

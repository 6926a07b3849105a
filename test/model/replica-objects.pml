/*
 * The protocol for object stores (docs/replication.md): nothing is ever overwritten, every write is a PUT that fails if the key is there.
 *
 *   epoch/<n>        exists = writer n has claimed its epoch
 *   data/<n>/<seq>   a batch of writer n
 *   seal/<n>         lastSeq: objects of epoch n after it do not count. The first one wins
 *
 *   append    PUT data, then HEAD epoch/<mine + 1>, started after the PUT has returned; 404 = acknowledge
 *   acquire   PUT epoch/<n>, then LIST epoch n − 1, PUT seal/<n − 1> with what the LIST showed
 *
 * A PUT may be carried out at any time after it was sent: a frozen writer goes on where it was. There are no clocks.
 *
 * What must hold: an acknowledged object counts ever after: its epoch has no seal, or one that covers it.
 *
 * Mutants, each of which must be rejected (check.mjs): NO_LOOK, LOOK_BEFORE_PUT, LIST_BEFORE_CLAIM, SEAL_OVERWRITES.
 */

#define EPOCHS 3           /* writers 0, 1 and 2; writer 0 has its epoch at the start */
#define OBJECTS 2          /* of each writer */
#define NONE 255

bool claimed[4];
bool put[6];               /* data/<n>/<seq> at n * OBJECTS + seq */
byte seal[3] = NONE;       /* how many objects of the epoch count */
bool acked[6];

inline check(n) {
	assert(seal[n] == NONE ||
	       ((!acked[n * OBJECTS] || seal[n] >= 1) && (!acked[n * OBJECTS + 1] || seal[n] >= 2)))
}

inline sealWith(n, count) {
	atomic {
#ifdef SEAL_OVERWRITES
		seal[n] = count;
#else
		if
		:: seal[n] == NONE -> seal[n] = count
		:: else
		fi;
#endif
		check(n)
	}
}

proctype writer(byte me) {
	byte seq, shown, lower;
	bool isFree;

	if
	:: me > 0 ->
		/* Of writers that claim the same epoch one wins; the others claim the next one. */
		lower = me - 1;
		claimed[lower];
#ifdef LIST_BEFORE_CLAIM
		atomic { shown = (put[lower * OBJECTS] -> (put[lower * OBJECTS + 1] -> 2 : 1) : 0) };
		claimed[me] = true;
#else
		claimed[me] = true;
		atomic { shown = (put[lower * OBJECTS] -> (put[lower * OBJECTS + 1] -> 2 : 1) : 0) };
#endif
		sealWith(lower, shown)
	:: else
	fi;
	do
	:: seq < OBJECTS ->
#ifdef LOOK_BEFORE_PUT
		isFree = !claimed[me + 1];
		put[me * OBJECTS + seq] = true;
#else
		put[me * OBJECTS + seq] = true;
#ifdef NO_LOOK
		isFree = true;
#else
		isFree = !claimed[me + 1];
#endif
#endif
		if
		:: isFree -> atomic { acked[me * OBJECTS + seq] = true; check(me) }
		:: else -> break
		fi;
		seq++
	:: else -> break
	od
}

/* A promoter that was frozen between its LIST and its PUT of the seal, while another one did the same. */
proctype secondSealer() {
	byte shown;

	claimed[1];
	atomic { shown = (put[0] -> (put[1] -> 2 : 1) : 0) };
	sealWith(0, shown)
}

/* A successor: what it has read of epoch 0, by the seal, is what everybody reads later. */
proctype reader() {
	byte counted;

	seal[0] != NONE;
	counted = seal[0];
	assert(seal[0] == counted)
}

init {
	atomic { claimed[0] = true; run writer(0); run writer(1); run writer(2); run secondSealer(); run reader() }
}

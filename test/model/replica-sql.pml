/*
 * The protocol of src/replica/shipper.ts on an engine that compares and swaps: PostgreSQL (src/replica/postgres).
 *
 * The head is one row: (epoch, head, chain). A request is one atomic step of the engine, at any time after it was sent, or never; its
 * answer may be lost. So each request of a writer is a process of its own, which may be delayed for ever: a zombie's append may reach
 * the engine after its successor has begun. The primary can fail at any moment. Its standby then goes on with what had reached it, and
 * a commit that is not there yet is acknowledged by nobody.
 *
 * An entry is the number of the writer that made it. The log is log[0 … head): comparing the entry before the new one stands for
 * comparing the chain.
 *
 * What must hold: an acknowledged entry is in the log ever after, at its place (`check`). And once a successor has acquired the log,
 * nothing of its predecessor lands any more.
 *
 * Mutants, each of which must be rejected (check.mjs): NO_EPOCH, NO_HEAD, ACK_UNKNOWN, NO_STANDBY, HEAD_BEFORE_ACQUIRE, SETTLE_BY_READ.
 */

#define LENGTH  3          /* entries of a log at most */
#define NONE    255

/* The primary, and what its standby has. */
byte epoch, head, log[LENGTH];
byte sEpoch, sHead, sLog[LENGTH];
bool failedOver;

byte acked[LENGTH] = NONE;  /* what was acknowledged at that place */

byte late = 2;              /* requests that may stay behind in the network, in all */

inline copyToStandby() {
	sEpoch = epoch; sHead = head; sLog[0] = log[0]; sLog[1] = log[1]; sLog[2] = log[2]
}

/* Synchronous replication: what returns to the client is on the standby. After a failover there is only one node left. */
inline replicate() {
#ifndef NO_STANDBY
	copyToStandby()
#else
	skip
#endif
}

inline check() {
	assert((acked[0] == NONE || (head > 0 && log[0] == acked[0])) &&
	       (acked[1] == NONE || (head > 1 && log[1] == acked[1])) &&
	       (acked[2] == NONE || (head > 2 && log[2] == acked[2])))
}

/* The statement `append`: lands if the epoch is the newest and the head is the expected one. */
#ifdef NO_EPOCH
#define EPOCH_FITS true
#else
#define EPOCH_FITS (epoch == myEpoch)
#endif
#ifdef NO_HEAD
#define HEAD_FITS (at <= head)
#else
#define HEAD_FITS (head == at && (at == 0 || log[(at == 0 -> 0 : at - 1)] == before))
#endif

proctype lateAppend(byte me, myEpoch, at, before) {
	if
	:: atomic {
		(EPOCH_FITS && HEAD_FITS) ->
		assert(myEpoch == epoch);
		log[at] = me; head = at + 1;
		/* Its commit waits for the standby, and nobody hears of it: the standby gets it sooner or later. */
		if
		:: copyToStandby()
		:: skip
		fi;
		check()
	   }
	:: skip
	fi
}

proctype writer(byte me) {
	byte myEpoch, at, before, turn;

#ifdef HEAD_BEFORE_ACQUIRE
	atomic { at = head; before = (head == 0 -> NONE : log[head - 1]) };
#endif
	/* acquire: its answer is awaited, and says where the log ends. */
	atomic {
		epoch = epoch + 1; myEpoch = epoch;
#ifndef HEAD_BEFORE_ACQUIRE
		at = head; before = (head == 0 -> NONE : log[head - 1]);
#else
		/* Catches up to the head that it read before, and cuts the rest off. */
		head = (at < head -> at : head);
#endif
		replicate(); check()
	};
	do
	:: turn < 3 && at < LENGTH ->
		turn++;
		if
		:: /* The answer comes. */
		   atomic {
			if
			:: EPOCH_FITS && HEAD_FITS ->
				assert(myEpoch == epoch);
				log[at] = me; head = at + 1; replicate();
				acked[at] = me; check()
			:: else -> goto ended
			fi
		   };
		   before = me; at++
		:: /* The connection breaks: the request has landed, or will, or never does. */
		   late > 0 ->
		   atomic { late--; run lateAppend(me, myEpoch, at, before) };
#ifdef ACK_UNKNOWN
		   atomic { acked[at] = me; check() };
		   before = me; at++
#else
		   /* settle: its commit waits for all that came before it. */
		   atomic {
#ifdef SETTLE_BY_READ
			/* A SELECT: it shows what no standby has yet. */
			skip;
#else
			if
			:: epoch != myEpoch -> goto ended
			:: else -> replicate()
			fi;
#endif
			if
			:: head == at + 1 && log[at] == me ->
				acked[at] = me; before = me; at++; check()
			:: head == at -> skip
			:: else -> goto ended
			fi
		   }
#endif
		fi
	:: else -> break
	od;
ended:
	skip
}

/* The primary is gone for ever, and the standby goes on. */
proctype failover() {
	atomic {
		!failedOver ->
		failedOver = true;
		epoch = sEpoch; head = sHead; log[0] = sLog[0]; log[1] = sLog[1]; log[2] = sLog[2];
		check()
	}
}

init {
	atomic { run writer(1); run writer(2); run failover() }
}

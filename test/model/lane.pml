/*
 * One lane of src/ring: publish and release, WRAP, the request for room and the blocking flush.
 *
 * The ring has SLOTS slots of 8 bytes. A record takes one slot or two and never crosses the end: then a WRAP slot fills the rest.
 * Slots are plain memory, written in two halves, and each half is a statement of its own: the writer's reads may be torn if
 * nothing orders them. In JavaScript a plain store happens-before a plain load in another thread if an atomic store comes after
 * the one, an atomic load that sees its value before the other: here, stores of head and tail. Both sides are written so, and the
 * model checks that no slot is ever read and written outside that order. Within it the plain accesses are not races, so the
 * program order that spin uses is their order in JavaScript too.
 *
 * The doorbell is left out (doorbell.pml): the writer looks whenever there is something to drain or to flush, and checks the
 * request for room only then. The producer may be terminated after every statement. What must hold:
 *   1. 0 <= head - tail <= SLOTS, and the writer reads whole records, in order, each once (the asserts).
 *   2. A producer that waits for room or for a flush continues (spin's check for invalid end states).
 *   3. When a flush returns, all that was pushed before it is drained.
 *   4. When all is at rest, everything published is drained, wherever the producer died.
 *
 * Mutants, each of which must be rejected (check.mjs): PUBLISH_FIRST, RELEASE_FIRST, NO_ROOM_CHECK, WRAP_UNCOUNTED,
 * NO_TAIL_REREAD, WANT_FIRST, HEAD_BEFORE_TICKET.
 */

#define SLOTS 4
#ifndef RECORDS
#define RECORDS 5
#endif

#define EMPTY 0
#define WRAP 100
#define MORE 101           /* second slot of a record that takes two */

#define AT(position) ((position) % SLOTS)

byte low[SLOTS];           /* the two halves of a slot: a record's number, WRAP or MORE */
byte high[SLOTS];

byte head;                 /* positions; they do not run over here, lane.property.test.ts has that */
byte tail;
byte room_wanted;          /* slots, 0 = no request */
bool word_of_room;         /* the writer's message */
byte flush_requested;
byte flush_done;
bool over;

#define DIE if :: true :: true -> goto gone fi

inline write_slot(position, value) {
	/* Between tail and head a slot belongs to the writer. */
	assert(position - tail < SLOTS);
	low[AT(position)] = value;
	DIE;
	high[AT(position)] = value;
	DIE
}

inline publish(position) {
	head = position;
	DIE
}

/* needed slots for a record of `slots` at `own`, WRAP included */
inline measure() {
#ifdef WRAP_UNCOUNTED
	needed = slots
#else
	needed = (AT(own) + slots <= SLOTS -> slots : slots + SLOTS - AT(own))
#endif
}

inline wait_for_room() {
	word_of_room = false;
	room_wanted = needed;
	DIE;
#ifndef NO_TAIL_REREAD
	known_tail = tail;
	DIE;
#endif
	if
	:: own - known_tail + needed <= SLOTS -> room_wanted = 0
	:: else -> word_of_room; known_tail = tail
	fi;
	DIE
}

proctype producer() {
	byte own;              /* its copy of head */
	byte known_tail;       /* its copy of tail */
	byte number = 1;
	byte slots;
	byte needed;
	byte ticket;

	do
	:: number <= RECORDS ->
		if :: slots = 1 :: slots = 2 fi;
		measure();
#ifndef NO_ROOM_CHECK
		if
		:: own - known_tail + needed > SLOTS ->
			known_tail = tail;
			DIE;
			do
			:: own - known_tail + needed > SLOTS -> wait_for_room()
			:: else -> break
			od
		:: else
		fi;
#endif
#ifdef PUBLISH_FIRST
		publish(own + needed);
#endif
		do
		:: AT(own) + slots > SLOTS ->
			write_slot(own, WRAP);
			own = own + SLOTS - AT(own)
		:: else -> break
		od;
		write_slot(own, number);
		if :: slots == 2 -> write_slot(own + 1, MORE) :: else fi;
		own = own + slots;
		number++;
#ifndef PUBLISH_FIRST
		publish(own);
#endif
	:: else -> break
	od;

	ticket = flush_requested + 1;
	flush_requested = ticket;
	DIE;
	flush_done == ticket;
	assert(tail == own);
gone:
	over = true
}

/* Reads a slot and overwrites it, so that a second read would show. */
inline take_slot(position, expected) {
	assert(low[AT(position)] == high[AT(position)]);
	assert(low[AT(position)] == expected)
}

proctype writer() {
	byte seen_head;
	byte own;              /* its copy of tail */
	byte next = 1;
	byte ticket;
	byte wanted;

end_idle:
	do
	:: head != own || flush_requested != flush_done ->
#ifdef HEAD_BEFORE_TICKET
		seen_head = head;
		ticket = flush_requested;
#else
		ticket = flush_requested;
		seen_head = head;
#endif
		assert(seen_head - own <= SLOTS);
#ifdef WANT_FIRST
		wanted = room_wanted;
#endif
#ifdef RELEASE_FIRST
		tail = seen_head;
#endif
		do
		:: own != seen_head ->
			if
			:: low[AT(own)] == WRAP -> take_slot(own, WRAP); own = own + SLOTS - AT(own)
			:: else ->
				take_slot(own, next);
				next++;
				own++;
				if
				:: own != seen_head && AT(own) != 0 && low[AT(own)] == MORE -> take_slot(own, MORE); own++
				:: else
				fi
			fi
		:: else -> break
		od;
		tail = own;
#ifndef WANT_FIRST
		wanted = room_wanted;
#endif
		if
		:: wanted != 0 && wanted <= SLOTS - (head - own) ->
			/* compareExchange */
			atomic { if :: room_wanted == wanted -> room_wanted = 0; word_of_room = true :: else fi }
		:: else
		fi;
		if
		:: ticket != flush_done -> flush_done = ticket
		:: else
		fi
	od
}

proctype judge() {
	timeout;
	assert(over);
	assert(tail == head)
}

init {
	atomic { run producer(); run writer(); run judge() }
}

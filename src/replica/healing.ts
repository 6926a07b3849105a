/**
 * What to do where the local log and the replicated one meet: at each open, and after each unknown outcome that settles at a head that
 * was not expected.
 *
 *   R, chain(R)   as the local log knows them: up to where it was replicated, and which history that was
 *   head          as the remote says
 *
 * The first row that fits decides:
 *
 *   the remote                                            verdict        what follows
 *   ────────────────────────────────────────────────────  ─────────────  ─────────────────────────────────────────────────────
 *   holds an entry that differs from the local one        diverged       stop: nothing is ever merged
 *   is empty, and was never replicated to                 begin          ship the whole log, from its first entry on
 *   is empty, and the local log has its first entry       ship-again     the remote lost everything: told, shipped again
 *   is empty, and the local log begins later              gap            stop: the entries before are nowhere any more
 *   ends above the local log                              local-behind   stop: this directory is an old copy; offer a restore
 *   ends before the local log begins                      gap            stop: entries between them are nowhere any more
 *   ends at R, with chain(R)                              continue       go on
 *   shares no entry with the local log                    gap            stop: nothing shows that one continues the other
 *   ends above R                                          adopt          an append landed whose answer was lost: R moves up
 *   ends at R, with another chain                         adopt          the same entries, divided otherwise
 *   ends below R                                          ship-again     the remote lost entries: told, shipped again
 *
 * A `different` comparison beats all other rows, so that no row below it can merge two histories.
 */

export type HealingVerdict =
  | 'diverged'
  | 'begin'
  | 'ship-again'
  | 'gap'
  | 'local-behind'
  | 'continue'
  | 'adopt';

export interface Meeting {
  /** LSN of the local log's first entry, or of its next one where it has none. */
  readonly localFirst: number;
  /** The local watermark. */
  readonly localLast: number;
  /** R; 0 = nothing is known of a replication. */
  readonly known: number;
  /** LSN of the remote's head; 0 = it is empty. */
  readonly head: number;
  /** `same`: head and chain are what is known at R, so nothing need be compared. `none`: no entry is in both. */
  readonly comparison: 'same' | 'equal' | 'different' | 'none';
}

export function judgeMeeting({ localFirst, localLast, known, head, comparison }: Meeting): HealingVerdict {
  if (comparison === 'different') return 'diverged';
  if (head === 0) {
    if (known === 0) return 'begin';
    return localFirst <= 1 ? 'ship-again' : 'gap';
  }
  if (head > localLast) return 'local-behind';
  if (head < localFirst - 1) return 'gap';
  if (comparison === 'same') return 'continue';
  if (comparison === 'none') return 'gap';
  return head >= known ? 'adopt' : 'ship-again';
}

/** Why replication cannot go on; `undefined`: it can. */
export function describeStop(
  verdict: HealingVerdict,
  { localFirst, localLast, head }: Meeting,
  lastCommon: number,
): string | undefined {
  switch (verdict) {
    case 'diverged':
      return (
        `The replica holds other entries than this log: they agree up to entry ${lastCommon}. They are never merged. Keep one of the two: ` +
        'restore this log from the replica, or replicate it to an empty one.'
      );
    case 'gap':
      return (
        `The replica ends with entry ${head} and this log begins with entry ${localFirst}: nothing shows that one continues the other. ` +
        'Replicate this log to an empty replica, or restore it from this one.'
      );
    case 'local-behind':
      return (
        `The replica ends with entry ${head} and this log with entry ${localLast}: this directory is an older copy. Restore it from the ` +
        'replica, or take over with Wal.takeOver.'
      );
    default:
      return undefined;
  }
}

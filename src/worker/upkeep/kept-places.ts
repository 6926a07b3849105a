import {
  type LogState,
  NAMED_CHECKPOINTS_MAX,
  type NamedCheckpoint,
  type ReplicatedPlace,
} from '../../format/state-file.js';
import type { ChangeResult, CheckpointChange } from '../../protocol/checkpoint-changes.js';
import type { Failure } from '../../protocol/errors.js';

/** What the state file keeps for others: how far consumers and the archive have come. Retention waits for them. */
export type KeptPlaces = Pick<LogState, 'checkpoint' | 'namedCheckpoints' | 'archived' | 'replicated'>;

/** The log as far as the changes depend on it. */
export interface LogExtent {
  readonly directory: string;
  readonly firstLsn: number;
  readonly lastLsn: number;
  /** Number of the live segment. */
  readonly live: number;
  /** Cuts since the log was opened. */
  readonly cuts: number;
}

/**
 * Retention keeps all entries above this LSN. The unnamed checkpoint does not count if it was never set (0) and there are named ones.
 * A log without any checkpoint keeps everything.
 */
export function lowestCheckpoint({ checkpoint, namedCheckpoints }: KeptPlaces): number {
  let lowest = checkpoint === 0 && namedCheckpoints.size > 0 ? Number.POSITIVE_INFINITY : checkpoint;
  for (const { lsn } of namedCheckpoints.values()) lowest = Math.min(lowest, lsn);
  return lowest;
}

/** Makes the changes in their order; each is made or refused by itself. `places` is `undefined` if none was made. */
export function changePlaces(
  places: KeptPlaces,
  changes: readonly CheckpointChange[],
  log: LogExtent,
): { readonly places: KeptPlaces | undefined; readonly results: ChangeResult[] } {
  const named = new Map(places.namedCheckpoints);
  let { archived, replicated } = places;
  const results = changes.map((change): ChangeResult => {
    if (change.kind === 'set') return setPlace(named, change, log);
    if (change.kind === 'remove') return { isChanged: named.delete(change.name) };
    if (change.kind === 'detached') return { isChanged: false };
    if (change.kind === 'replicated') {
      const isFresh = isFreshPlace(change.place, change.cuts, log);
      if (isFresh) replicated = change.place;
      return { isChanged: isFresh };
    }
    // After a cut that the archiver had not heard of, the number may stand for other content.
    const isChanged = change.cuts === log.cuts && change.before <= log.live;
    if (isChanged) archived = Math.max(archived, change.before);
    return { isChanged };
  });
  const isChanged = results.some((result) => result.isChanged);
  return {
    places: isChanged
      ? { checkpoint: places.checkpoint, namedCheckpoints: named, archived, replicated }
      : undefined,
    results,
  };
}

/** A place that was reported before a cut may stand for entries that are gone. */
function isFreshPlace({ lsn }: ReplicatedPlace, cuts: number, log: LogExtent): boolean {
  return cuts === log.cuts && lsn <= log.lastLsn;
}

function setPlace(
  named: Map<string, NamedCheckpoint>,
  { name, lsn, data }: Extract<CheckpointChange, { kind: 'set' }>,
  log: LogExtent,
): ChangeResult {
  const failure = lsn > log.lastLsn ? beyond(name, lsn, log) : tooManyNames(named, name, log);
  if (failure !== undefined) return { failure, isChanged: false };
  named.set(name, { lsn, data });
  return { isChanged: true };
}

function beyond(name: string, lsn: number, { directory, firstLsn, lastLsn }: LogExtent): Failure {
  const holds = lastLsn === 0 ? 'is empty' : `holds entries ${firstLsn} to ${lastLsn}`;
  return {
    code: 'ERR_WAL_OPTION',
    message: `Cannot set checkpoint ${JSON.stringify(name)} to ${lsn} on "${directory}": the log ${holds}.`,
    path: directory,
    lsn,
  };
}

function tooManyNames(
  named: ReadonlyMap<string, unknown>,
  name: string,
  { directory }: LogExtent,
): Failure | undefined {
  if (named.size < NAMED_CHECKPOINTS_MAX || named.has(name)) return undefined;
  return {
    code: 'ERR_WAL_FULL',
    message: `Cannot make checkpoint ${JSON.stringify(name)} on "${directory}": it has ${NAMED_CHECKPOINTS_MAX} named checkpoints, the most there can be. Remove those of consumers that are gone with removeCheckpoint().`,
    path: directory,
  };
}

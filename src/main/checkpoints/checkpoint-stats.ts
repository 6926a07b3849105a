import type { CheckpointList } from './checkpoint-list.js';

/** A checkpoint in figures: {@link WalStats.checkpoints}. */
export interface CheckpointStats {
  /** Empty: the unnamed checkpoint. */
  readonly name: string;
  /** Its consumer has processed all entries up to this LSN. */
  readonly lsn: number;
  /** Entries above it: those that its consumer has not processed. */
  readonly lag: number;
  /** Bytes of data with it. */
  readonly dataBytes: number;
}

/** The checkpoints that count for retention. The lowest, which holds back the most, comes first. `unnamed`: 0 = never set. */
export function readCheckpoints(list: CheckpointList, unnamed: number, lastLsn: number): CheckpointStats[] {
  const places = [...list.places()];
  if (unnamed > 0) places.push({ name: '', lsn: unnamed, dataBytes: 0 });
  return places
    .map((place) => ({ ...place, lag: Math.max(0, lastLsn - place.lsn) }))
    .sort((a, b) => a.lsn - b.lsn || (a.name < b.name ? -1 : 1));
}

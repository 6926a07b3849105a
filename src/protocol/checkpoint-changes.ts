import type { Failure } from './errors.js';

/** A named checkpoint: {@link WalReader.checkpoints}. */
export interface NamedCheckpoint {
  /** The consumer has processed all entries up to this LSN; 0 = none. */
  readonly lsn: number;
  /** Data of the consumer, at most 4,096 bytes; empty = none. */
  readonly data: Uint8Array;
}

/**
 * A change of the places in `ringwal.state`: those of consumers, or how far the archive has come. One request to the writer
 * carries many changes, and one write of the file makes all of them durable.
 */
export type CheckpointChange =
  | { readonly kind: 'set'; readonly name: string; readonly lsn: number; readonly data: Uint8Array }
  | { readonly kind: 'remove'; readonly name: string }
  /**
   * Segments with lower numbers than `before` were handed to the archive. `cuts`: how many cuts of the log the archiver knew of.
   * If there was a later cut, the writer refuses the change: a number may stand for other content now.
   */
  | { readonly kind: 'archived'; readonly before: number; readonly cuts: number }
  /** The log is replicated up to that place. `cuts`: as of `archived`. */
  | { readonly kind: 'replicated'; readonly place: ReplicatedPlace; readonly cuts: number }
  /** Retention waits for the replica no longer, as long as the log is open. */
  | { readonly kind: 'detached' };

/** How far the log is replicated (`ReplicatedPlace` of src/format/state-file.ts). */
export interface ReplicatedPlace {
  readonly epoch: number;
  readonly lsn: number;
  readonly chain: Uint8Array;
}

/** The result of one change. */
export interface ChangeResult {
  /** Why the change was refused. The other changes of its request are made all the same. */
  readonly failure?: Failure;
  /** False: there was nothing to change. */
  readonly isChanged: boolean;
}

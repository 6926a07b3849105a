import type { SnapshotInfo } from '../../protocol/snapshots.js';
import { checkSignal, refuse, takeOptions } from '../options/checks.js';
import type { WalIterator } from '../read/entry-iterator.js';
import type { WalEntry } from '../read/segment-reader.js';

/** Options of {@link WalReader.recover}. */
export interface RecoverOptions {
  /**
   * Takes over a snapshot: `stream` yields its data in checked chunks. Called once at most, before `apply`, and not at all if there
   * is no snapshot. The stream ends with the call.
   */
  load: (stream: WalIterator<Uint8Array>, snapshot: SnapshotInfo) => unknown;
  /** Takes over the entries after the snapshot, in order, as {@link WalReader.batches} yields them. */
  apply: (batch: WalEntry[]) => unknown;
  /** Ends the call: it rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
}

export function checkRecoverOptions(given: RecoverOptions): RecoverOptions {
  const { load, apply, signal } = takeOptions(given, 'recover option', ['load', 'apply', 'signal']);
  if (typeof load !== 'function') refuse('load', 'a function', load);
  if (typeof apply !== 'function') refuse('apply', 'a function', apply);
  return { load, apply, signal: checkSignal(signal) };
}

import { Buffer } from 'node:buffer';
import { CHECKPOINT_DATA_MAX, CHECKPOINT_NAME_MAX } from '../../format/state-file.js';
import { copyBytes, type EntryData, viewBytes } from '../append/entry-data.js';
import { WalError } from '../errors/wal-error.js';
import { refuse, takeOptions } from '../options/checks.js';

/** Options of {@link Wal.checkpoint}. */
export interface CheckpointOptions {
  /**
   * The consumer whose place it is: 1 to 255 bytes of UTF-8. A log has at most 256 named checkpoints. Default: the unnamed
   * checkpoint, {@link Wal.checkpointLsn}.
   */
  name?: string | undefined;
  /**
   * At most 4,096 bytes of the consumer's own, or text, which is stored as UTF-8. It replaces the earlier data of the named
   * checkpoint; without it the checkpoint has no data. Copied before the call returns. Only with `name`.
   */
  data?: EntryData | undefined;
}

/** Checks the options of a checkpoint; `undefined`: the unnamed one. The data are a copy. */
export function takeCheckpointOptions(
  given: CheckpointOptions,
): { readonly name: string; readonly data: Uint8Array } | undefined {
  const { name, data } = takeOptions(given, 'option', ['name', 'data']);
  if (name === undefined) {
    if (data !== undefined) {
      throw new WalError('ERR_WAL_OPTION', 'data belong to a named checkpoint: give it a name.');
    }
    return undefined;
  }
  return { name: checkName(name), data: checkData(data) };
}

/** @throws ERR_WAL_OPTION */
export function checkName(name: unknown): string {
  if (typeof name !== 'string') refuse('name', 'text', name);
  const bytes = Buffer.byteLength(name);
  if (bytes < 1 || bytes > CHECKPOINT_NAME_MAX)
    throw new WalError(
      'ERR_WAL_OPTION',
      `name must be 1 to ${CHECKPOINT_NAME_MAX} bytes of UTF-8, not ${bytes}.`,
    );
  // Half of a surrogate pair has no UTF-8: two such names would be stored as the same bytes.
  if (Buffer.from(name).toString() !== name) refuse('name', 'text without half a surrogate pair', name);
  return name;
}

function checkData(data: unknown): Uint8Array {
  if (data === undefined) return new Uint8Array(0);
  if (typeof data !== 'string' && !ArrayBuffer.isView(data)) refuse('data', 'a Uint8Array or text', data);
  const bytes = copyBytes(typeof data === 'string' ? data : viewBytes(data));
  if (bytes.length > CHECKPOINT_DATA_MAX)
    throw new WalError(
      'ERR_WAL_OPTION',
      `data must be at most ${CHECKPOINT_DATA_MAX} bytes, not ${bytes.length}: keep larger data in an entry, or in a file.`,
    );
  return bytes;
}

import { channel } from 'node:diagnostics_channel';
import type { RecoveryReport } from '../worker/messages.js';
import type { WalError } from './wal-error.js';

/**
 * What a log publishes by `diagnostics_channel`, in the thread that opened it. Every message names the log's `directory`.
 * Without subscribers nothing is made: a look at `hasSubscribers` is all that it costs.
 *
 * Kept here, since a channel that nobody holds is collected, and its subscribers with it.
 */
const channels = {
  open: channel('ringwal:open'),
  recover: channel('ringwal:recover'),
  rotate: channel('ringwal:rotate'),
  sync: channel('ringwal:sync'),
  error: channel('ringwal:error'),
};

/** What is published, by channel: `ringwal:open` and so on. Exported as `WalDiagnostics`. */
export interface Diagnostics {
  /** A log was opened. */
  readonly open: { readonly directory: string; readonly recovery: RecoveryReport };
  /** Opening found more than a clean log: a torn tail was cut, or a corrupt log repaired as the option `recovery` says. */
  readonly recover: { readonly directory: string; readonly recovery: RecoveryReport };
  /** A segment was sealed, and `path` begun, whose first entry will be `firstLsn`. */
  readonly rotate: {
    readonly directory: string;
    readonly path: string;
    readonly firstLsn: number;
    readonly sealedBytes: number;
  };
  /** Everything up to `durableLsn` was synced, which took `durationMs`. */
  readonly sync: { readonly directory: string; readonly durableLsn: number; readonly durationMs: number };
  /** A log could not be opened, or ended, or went on with a loss or trouble that `onError` is told too. */
  readonly error: { readonly directory: string; readonly error: WalError };
}

export function isWatched(name: keyof Diagnostics): boolean {
  return channels[name].hasSubscribers;
}

export function publish<Name extends keyof Diagnostics>(name: Name, message: Diagnostics[Name]): void {
  if (channels[name].hasSubscribers) channels[name].publish(message);
}

import { channel } from 'node:diagnostics_channel';
import type { RecoveryReport } from '../../protocol/reports.js';
import type { WalError } from '../errors/wal-error.js';

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

// Exported as WalDiagnostics.
/**
 * The messages of `diagnostics_channel`, by channel: `open` is what `ringwal:open` publishes, and so on. Each names the log's
 * `directory`. They are published in the thread that opened the log. docs/monitoring.md.
 */
export interface Diagnostics {
  /** A log was opened. */
  readonly open: {
    /** The log's, absolute. */
    readonly directory: string;
    /** What opening found and did. */
    readonly recovery: RecoveryReport;
  };
  /** Opening found more than a clean log: a torn tail was cut, or a corrupt log repaired as the option `recovery` says. */
  readonly recover: {
    /** The log's, absolute. */
    readonly directory: string;
    /** What opening found and did. */
    readonly recovery: RecoveryReport;
  };
  /** A segment was sealed, and the next one begun. */
  readonly rotate: {
    /** The log's, absolute. */
    readonly directory: string;
    /** The new segment. */
    readonly path: string;
    /** LSN of the entry that it will begin with. */
    readonly firstLsn: number;
    /** Size of the segment that was sealed. */
    readonly sealedBytes: number;
  };
  /** Entries were made durable. */
  readonly sync: {
    /** The log's, absolute. */
    readonly directory: string;
    /** Everything up to this LSN is durable. */
    readonly durableLsn: number;
    /** Milliseconds that the sync took. */
    readonly durationMs: number;
  };
  /** A log could not be opened, or ended, or went on with a loss or trouble that `onError` is told too. */
  readonly error: {
    /** The log's, absolute. */
    readonly directory: string;
    /** What went wrong. */
    readonly error: WalError;
  };
}

export function isWatched(name: keyof Diagnostics): boolean {
  return channels[name].hasSubscribers;
}

export function publish<Name extends keyof Diagnostics>(name: Name, message: Diagnostics[Name]): void {
  if (channels[name].hasSubscribers) channels[name].publish(message);
}

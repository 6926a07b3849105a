import { channel } from 'node:diagnostics_channel';
import type { RecoveryReport } from '../../protocol/reports.js';
import type { WalError } from '../errors/wal-error.js';

/**
 * The channels of `diagnostics_channel` on which a log publishes, in the thread that opened it. Every message names the log's
 * `directory`. Without subscribers no message is made: the only cost is a look at `hasSubscribers`.
 *
 * The channels are kept here, since an unreferenced channel is garbage-collected, and its subscribers with it.
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
 * The messages of `diagnostics_channel`, by channel: `open` is the message of `ringwal:open`, and so on. Each names the log's
 * `directory`. They are published in the thread that opened the log. See docs/monitoring.md.
 */
export interface Diagnostics {
  /** A log was opened. */
  readonly open: {
    /** The log's, absolute. */
    readonly directory: string;
    /** What opening found and did. */
    readonly recovery: RecoveryReport;
  };
  /** `open` found a log that was not clean: it cut a torn tail, or repaired a corrupt log as the option `recovery` says. */
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
    /** LSN of its first entry, which is still to come. */
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
  /** A log could not be opened, or ended, or continued after a loss or a failure that `onError` gets too. */
  readonly error: {
    /** The log's, absolute. */
    readonly directory: string;
    /** The error that occurred. */
    readonly error: WalError;
  };
}

export function isWatched(name: keyof Diagnostics): boolean {
  return channels[name].hasSubscribers;
}

export function publish<Name extends keyof Diagnostics>(name: Name, message: Diagnostics[Name]): void {
  if (channels[name].hasSubscribers) channels[name].publish(message);
}

import type { MessagePort } from 'node:worker_threads';
import type { ToLane } from '../../protocol/lane-messages.js';
import type { Doorbell } from '../../ring/doorbell.js';
import type { LaneViews } from '../../ring/layout.js';
import type { LogStatus } from '../../ring/log-status.js';
import type { WalError } from '../errors/wal-error.js';
import type { LaneOptions } from '../options/wal-options.js';

/** The parts of a lane, and the owner to which it reports. */
export interface LaneParts {
  /** The log's, for messages. */
  readonly directory: string;
  readonly views: LaneViews;
  readonly doorbell: Doorbell;
  readonly writerPort: MessagePort;
  readonly syncPort: MessagePort;
  readonly status: LogStatus;
  readonly options: LaneOptions;
  /** Do the log's threads live? Called while this thread is blocked and receives no events. */
  readonly areThreadsAlive: () => boolean;
  /** Keeps the process alive, or releases it. */
  readonly hold: (isHeld: boolean) => void;
  /** Reports an error that rejects no promise. */
  readonly onError: (error: WalError) => void;
  /**
   * The log has failed. `toldUnsynced`: the number of entries of this lane that were written but are not durable, and whose
   * promises rejected. `isTold`: the other entries that the failure concerns were reported too.
   */
  readonly onFailure: (failure: () => WalError, toldUnsynced: number, isTold: boolean) => void;
  /** A port has closed, and everything sent through it was received before: its thread has ended, or `detach` closed it. */
  readonly onPortClosed: () => void;
  /** A message or an acknowledgement has arrived from the log's threads: once for each group, not for each entry. */
  readonly onReceive: () => void;
  /** Receives the messages that concern the log and not this lane. */
  readonly onLogMessage: (message: ToLane) => void;
}

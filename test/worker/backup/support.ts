import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { OperationKind, SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import type { BackupReport, RestoreReport, StoppedJob } from '../../../src/protocol/backup-reports.js';
import type { Failure } from '../../../src/protocol/errors.js';
import { JobControl } from '../../../src/protocol/job-control.js';
import { type BackupRequest, backupOn } from '../../../src/worker/backup/backup.js';
import { type RestoreRequest, restoreOn } from '../../../src/worker/backup/restore.js';
import { type BackupInspection, verifyBackupOn } from '../../../src/worker/backup/verify-backup.js';
import { LogFailure } from '../../../src/worker/errors/failure.js';
import { recoverLog } from '../../../src/worker/recover/recovery.js';
import { type FrameOnDisk, readFrames } from '../support/segments.js';
import { DIRECTORY, OPTIONS } from '../support/test-log.js';

export const FULL = '/backups/full';
export const FIRST = '/backups/first';
export const SECOND = '/backups/second';
export const RESTORED = '/logs/restored';

/** What a job that failed says; it throws what a `WalError` would carry. */
function answered<T extends object>(answer: T): Exclude<T, StoppedJob | { readonly failure: Failure }> {
  if ('failure' in answer) throw LogFailure.of(answer.failure as Failure);
  assert.ok(!('stopped' in answer), 'nobody stopped the job');
  return answer as Exclude<T, StoppedJob | { readonly failure: Failure }>;
}

export function backUp(
  disk: SimulatedDisk,
  target: string,
  request: Partial<BackupRequest> = {},
): BackupReport {
  const { buffer: control } = new JobControl();
  return answered(
    backupOn(disk, { directory: DIRECTORY, target, since: undefined, link: false, control, ...request }),
  );
}

export function restoreTo(
  disk: SimulatedDisk,
  backups: readonly string[],
  { directory = RESTORED, ...request }: Partial<RestoreRequest> = {},
): RestoreReport {
  const { buffer: control } = new JobControl();
  return answered(restoreOn(disk, { backups, directory, to: undefined, dryRun: false, control, ...request }));
}

export function verifyIn(disk: SimulatedDisk, directory: string): BackupInspection {
  return answered(verifyBackupOn(disk, { directory, control: new JobControl().buffer }));
}

/** Every frame in a log's directory, or those up to `lastLsn`. */
export function framesIn(disk: SimulatedDisk, directory: string, lastLsn?: number): FrameOnDisk[] {
  const files = {
    names: () => disk.names(directory),
    contents: (name: string) => disk.contents(join(directory, name)),
  };
  return readFrames(files, lastLsn);
}

/** The entries in a log's directory: LSN and text. */
export function entriesIn(
  disk: SimulatedDisk,
  directory: string,
  lastLsn?: number,
): [lsn: number, text: string][] {
  return framesIn(disk, directory, lastLsn).map(({ lsn, data }) => [lsn, Buffer.from(data).toString()]);
}

/** Opens the log as its next writer does, which cuts and repairs; it must be clean. */
export function openClean(disk: SimulatedDisk, directory: string): { lastLsn: number; branch: bigint } {
  const { report, start } = recoverLog(disk, { ...OPTIONS, directory });
  assert.deepEqual([report.verdict, report.cut, report.foreignFiles], ['clean', undefined, []]);
  assert.equal(report.watermark, report.lastLsn);
  return { lastLsn: report.lastLsn, branch: start.state.branch };
}

/** What a call fails with; fails if it does not. */
export function failureIn(run: () => unknown): LogFailure['failure'] {
  try {
    run();
  } catch (error) {
    if (error instanceof LogFailure) return error.failure;
    throw error;
  }
  assert.fail('it did not fail');
}

/** What reads changes nothing: a machine that stops there stops before the next change. */
const READS: readonly OperationKind[] = ['read', 'size', 'list', 'stat', 'close', 'identity', 'lockHolder'];

/**
 * The kinds of the operations that `run` makes on the disk, by their numbers from its start on.
 */
export function changesOf(disk: SimulatedDisk, run: () => unknown): { at: number; kind: OperationKind }[] {
  const changes: { at: number; kind: OperationKind }[] = [];
  const start = disk.counts.operations;
  disk.onOperation(({ index, kind }) => {
    if (!READS.includes(kind)) changes.push({ at: index - start, kind });
    return undefined;
  });
  run();
  disk.clearFaults();
  return changes;
}

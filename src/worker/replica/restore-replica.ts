/**
 * Makes a log of what a replica holds.
 *
 *   1. begin   a directory beside the wanted one: src/worker/backup/restore-aside.ts
 *   2. read    the confirmed batches, each checked against the chain and written to segments; then a state file with a new branch
 *   3. judge   the new log as `open` does
 *   4. finish  the directory gets its name, last
 *
 * If entries are removed from the replica meanwhile, it begins again after them.
 */

import type { Disk } from '../../files/disk.js';
import { createNodeDisk } from '../../files/node-disk.js';
import { STATE_FILE, segmentName } from '../../format/segment-name.js';
import { emptyState, encodeState } from '../../format/state-file.js';
import type { StoppedJob } from '../../protocol/backup-reports.js';
import type { Failure, WalErrorCode } from '../../protocol/errors.js';
import { JobControl } from '../../protocol/job-control.js';
import type { ReplicaRestoreReport } from '../../protocol/replica-reports.js';
import { checkLink } from '../../replica/compare.js';
import { connectReplica } from '../../replica/connect.js';
import { decodeBatch, type ShippedFrame } from '../../replica/payload.js';
import type { Replica, ReplicaAdapter, ReplicaBatch } from '../../replica/replica.js';
import { FILE_MODE } from '../backup/backup-target.js';
import { checkStop, StopRequest, writeSmall } from '../backup/copy-file.js';
import { RestoreAside, refuseOccupied } from '../backup/restore-aside.js';
import { newBranch } from '../directory/log-listing.js';
import { failureOf, LogFailure } from '../errors/failure.js';
import { inspectOn } from '../inspect/inspect.js';
import { SegmentFiles } from './segment-files.js';

/** A job of the pool. */
export interface RestoreReplicaRequest {
  readonly adapter: ReplicaAdapter;
  /** `undefined`: the only log that the replica holds. */
  readonly logId: string | undefined;
  /** Of the new log. */
  readonly directory: string;
  /** The last entry; inside an atomic batch, the log ends before that. `undefined`: everything. */
  readonly to: number | undefined;
  readonly timeoutMs: number;
  /** See [JobControl]. */
  readonly control: SharedArrayBuffer;
}

const ATTEMPTS_MAX = 5;

export async function restoreReplica(
  request: RestoreReplicaRequest,
): Promise<ReplicaRestoreReport | StoppedJob | { readonly failure: Failure }> {
  const { directory, adapter, timeoutMs } = request;
  let replica: Replica | undefined;
  try {
    refuseOccupied(createNodeDisk(), directory);
    replica = await connectReplica(adapter, { timeoutMs });
    for (let attempt = 1; ; attempt++) {
      try {
        return await restoreFrom(replica, request);
      } catch (error) {
        // Its first entries were removed while they were read.
        if (codeOf(error) !== 'ERR_WAL_PURGED' || attempt === ATTEMPTS_MAX) throw error;
      }
    }
  } catch (error) {
    if (error instanceof StopRequest) return { stopped: true };
    return { failure: failureToRestore(error, directory) };
  } finally {
    await replica?.close();
  }
}

async function restoreFrom(replica: Replica, request: RestoreReplicaRequest): Promise<ReplicaRestoreReport> {
  const { directory, to = Number.POSITIVE_INFINITY } = request;
  const disk = createNodeDisk();
  const control = new JobControl(request.control);
  const startedMs = disk.now();
  const logId = await replica.select(request.logId);
  const log = (await replica.logs()).find((each) => each.logId === logId);
  const floor = Math.max(1, log?.floor ?? 1);
  const confirmed = log?.confirmed ?? 0;
  if (to < floor - 1 || (to !== Number.POSITIVE_INFINITY && to > confirmed))
    throw new LogFailure(
      to < floor ? 'ERR_WAL_PURGED' : 'ERR_WAL_OPTION',
      `Cannot restore to "${directory}": entry ${to} is not in the replica, which holds entries ${floor} to ${confirmed}.`,
      { path: directory, lsn: to },
    );
  const aside = RestoreAside.begin(disk, directory);
  const branch = newBranch(disk);
  const parts = { disk, logId: BigInt(`0x${logId}`), branch, fileMode: FILE_MODE };
  const files = new SegmentFiles({ ...parts, pathOf: (name) => aside.pathOf(name) });
  try {
    const end = await writeEntries(replica, files, control, floor, to);
    files.finish();
    const lastLsn = end.lastLsn === 0 ? Math.min(confirmed, to) : end.lastLsn;
    const firstLsn = end.firstLsn === 0 ? 0 : end.firstLsn;
    writeState(disk, aside, parts, {
      lastLsn,
      firstLsn,
      replicated:
        end.batch?.last === lastLsn
          ? { epoch: log?.epoch ?? 0, lsn: lastLsn, chain: end.batch.chain }
          : undefined,
    });
    judge(disk, aside.directory, directory, lastLsn);
    checkStop(control);
    aside.finish();
    return {
      directory,
      logId,
      branch: branch.toString(16).padStart(16, '0'),
      firstLsn,
      lastLsn,
      replicaLastLsn: confirmed,
      segments: files.count,
      bytes: files.bytes,
      durationMs: Math.max(0, disk.now() - startedMs),
    };
  } catch (error) {
    files.close();
    aside.undo();
    throw error;
  }
}

/** What was written; LSN 0 = nothing. `batch`: the last one that was written as a whole. */
interface Written {
  readonly firstLsn: number;
  readonly lastLsn: number;
  readonly batch: ReplicaBatch | undefined;
}

async function writeEntries(
  replica: Replica,
  files: SegmentFiles,
  control: JobControl,
  from: number,
  to: number,
): Promise<Written> {
  let [firstLsn, lastLsn] = [0, 0];
  let whole: ReplicaBatch | undefined;
  let before: { readonly lsn: number; readonly chain: Uint8Array } | undefined;
  for await (const batch of replica.read(from, new AbortController().signal)) {
    checkStop(control);
    checkLink(batch, before);
    before = { lsn: batch.last, chain: batch.chain };
    for (const group of atomicBatches(decodeBatch(batch))) {
      const last = group[group.length - 1] as ShippedFrame;
      if (last.lsn > to) return { firstLsn, lastLsn, batch: whole };
      for (const frame of group) files.add(frame);
      if (firstLsn === 0) firstLsn = (group[0] as ShippedFrame).lsn;
      lastLsn = last.lsn;
    }
    whole = batch;
    control.addDone(batch.data.length);
  }
  return { firstLsn, lastLsn, batch: whole };
}

function* atomicBatches(frames: readonly ShippedFrame[]): Generator<readonly ShippedFrame[]> {
  let start = 0;
  for (const [at, { batchRemaining }] of frames.entries()) {
    if (batchRemaining > 0) continue;
    yield frames.slice(start, at + 1);
    start = at + 1;
  }
}

function writeState(
  disk: Disk,
  aside: RestoreAside,
  { logId, branch }: { readonly logId: bigint; readonly branch: bigint },
  {
    firstLsn,
    lastLsn,
    replicated,
  }: {
    readonly firstLsn: number;
    readonly lastLsn: number;
    readonly replicated:
      | { readonly epoch: number; readonly lsn: number; readonly chain: Uint8Array }
      | undefined;
  },
): void {
  const isEmptied = firstLsn === 0 && lastLsn > 0;
  // As emptying leaves it: if the state file is lost, it shows that the log does not begin at LSN 1 (log-emptying.ts).
  if (isEmptied) writeSmall(disk, aside.pathOf(segmentName(1)), new Uint8Array(0), FILE_MODE);
  const floor = isEmptied ? lastLsn + 1 : firstLsn > 1 ? firstLsn : 0;
  const state = { ...emptyState(logId), branch, watermark: lastLsn, floor, isEmptied, replicated };
  writeSmall(disk, aside.pathOf(STATE_FILE), encodeState(state), FILE_MODE);
}

function judge(disk: Disk, written: string, directory: string, lastLsn: number): void {
  const found = inspectOn(disk, { directory: written, full: false });
  if ('failure' in found) throw LogFailure.of(found.failure);
  const { verdict, lastLsn: foundLsn } = found.judgement;
  if (verdict === 'clean' && foundLsn === lastLsn) return;
  throw new LogFailure(
    'ERR_WAL_CORRUPT',
    `Cannot restore to "${directory}": what the replica holds makes no log that opens: it can be read up to entry ${foundLsn}, and should be up ` +
      `to entry ${lastLsn}.`,
    { path: directory, lsn: foundLsn + 1 },
  );
}

function codeOf(error: unknown): unknown {
  return error instanceof LogFailure ? error.failure.code : (error as { code?: unknown }).code;
}

function failureToRestore(error: unknown, directory: string): Failure {
  const code = codeOf(error);
  if (error instanceof LogFailure || typeof code !== 'string' || !code.startsWith('ERR_WAL_'))
    return failureOf(error, `restore to "${directory}"`, directory);
  return {
    code: code as WalErrorCode,
    message: `Cannot restore to "${directory}": ${(error as Error).message}`,
    path: directory,
  };
}

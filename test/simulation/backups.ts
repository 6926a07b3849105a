import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { Random, SimulatedDisk } from '../../src/files/simulation/simulated-disk.js';
import type { Failure } from '../../src/protocol/errors.js';
import { JobControl } from '../../src/protocol/job-control.js';
import { backupOn } from '../../src/worker/backup/backup.js';
import { restoreOn } from '../../src/worker/backup/restore.js';
import { type FrameOnDisk, readFrames } from '../worker/support/segments.js';
import { DIRECTORY, type TestLog } from '../worker/support/test-log.js';

/**
 * Backs an open log up as it is now, restores the backup up to a random entry, and compares it with the log's own files. The disk
 * may fail at any operation: then nothing of a backup or of a log may be left under its name. What was made is removed.
 *
 * @throws an assertion, unless the machine has stopped
 */
export function backUpAndRestore(log: TestLog, random: Random): void {
  const { disk, status } = log;
  const { buffer: control } = new JobControl();
  const watermark = status.get('durableLsn');
  // New names each time: what a crash leaves of one is not in the way of the next (test/worker/backup/backup-crash.test.ts looks at that).
  const [target, restored] = ['backup', 'restored'].map(
    (name) => `/logs/${name}-${disk.counts.operations}`,
  ) as [string, string];
  const link = random.chance(0.2) && log.options.preallocate !== 'recycle';
  const { statusMemory } = log;
  const made = backupOn(disk, {
    directory: DIRECTORY,
    target,
    since: undefined,
    link,
    control,
    status: statusMemory,
  });
  if (disk.hasStopped) return;
  if ('failure' in made) assertByFault(made.failure);
  else {
    assert.ok('lastLsn' in made && made.lastLsn === watermark, 'the backup ends elsewhere');
    restoreSome(log, random, watermark, target, restored);
  }
  if (disk.hasStopped) return;
  for (const directory of [target, restored]) remove(disk, directory);
}

function restoreSome(
  { disk, files }: TestLog,
  random: Random,
  watermark: number,
  target: string,
  restored: string,
): void {
  const { buffer: control } = new JobControl();
  const to = watermark === 0 || random.chance(0.3) ? undefined : { lsn: 1 + random.below(watermark) };
  const request = { backups: [target], directory: restored, to, dryRun: false, control };
  const done = restoreOn(disk, request);
  if (disk.hasStopped) return;
  const isThere = disk.paths().some((path) => path.startsWith(`${restored}/`));
  if ('failure' in done) {
    if (done.failure.code !== 'ERR_WAL_PURGED') assertByFault(done.failure);
    else {
      // The log begins above the entry, or the entry's batch is its first: a log cannot end there.
      const endsThere = ({ lsn, batchRemaining }: FrameOnDisk) =>
        to !== undefined && lsn <= to.lsn && batchRemaining === 0;
      assert.ok(to !== undefined && !readFrames(files, watermark).some(endsThere), done.failure.message);
    }
    // The last sync may have failed: then all of it has the name.
    if (!isThere) return;
  }
  const found = readFrames({
    names: () => disk.names(restored),
    contents: (name) => disk.contents(join(restored, name)),
  });
  const foundLsn = found.at(-1)?.lsn;
  // A log that was emptied has a last LSN, and no entry.
  const lastLsn = 'lastLsn' in done ? done.lastLsn : (foundLsn ?? 0);
  assert.equal(foundLsn ?? lastLsn, lastLsn);
  const isKept = ({ lsn }: FrameOnDisk) => lsn <= lastLsn;
  assert.deepEqual(found.map(entryOf), readFrames(files, watermark).filter(isKept).map(entryOf));
  assert.ok(to === undefined ? lastLsn === watermark : lastLsn <= to.lsn);
  assert.equal(found.at(-1)?.batchRemaining ?? 0, 0, 'the log ends inside a batch');
}

function entryOf({ lsn, data }: FrameOnDisk): string {
  return `${lsn} ${Buffer.from(data).toString('hex')}`;
}

/** The disk is the only reason for a failure here. */
function assertByFault({ code, cause, message }: Failure): void {
  assert.ok(code === 'ERR_WAL_IO' && /^E[A-Z]+$/.test(cause?.code ?? ''), `${code}: ${message}`);
}

/** Planned faults may hit the clean-up: they pass. */
function remove(disk: SimulatedDisk, directory: string): void {
  const names = disk.paths().filter((path) => path.startsWith(`${directory}/`));
  for (const act of [...names.map((path) => () => disk.unlink(path)), () => disk.rmdir(directory)]) {
    for (let isDone = false; !isDone && !disk.hasStopped; ) {
      try {
        act();
        isDone = true;
      } catch (error) {
        isDone = (error as { code?: string }).code === 'ENOENT';
      }
    }
  }
}

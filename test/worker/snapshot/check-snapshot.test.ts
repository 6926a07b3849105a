/** Which snapshots are of this log: by log_id, branch, LSN and the CRC of the entry. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { codecTools } from '../../../src/files/codec-tools.js';
import type { Disk, DiskFile } from '../../../src/files/disk.js';
import { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { snapshotName } from '../../../src/format/segment-name.js';
import { encodeSnapshotEnd, encodeSnapshotStart, SnapshotSeal } from '../../../src/format/snapshot-file.js';
import type { SnapshotHeader } from '../../../src/format/snapshot-messages.js';
import { readState } from '../../../src/worker/directory/state-store.js';
import { recoverLog } from '../../../src/worker/recover/recovery.js';
import { checkSnapshot } from '../../../src/worker/snapshot/check-snapshot.js';
import { identifyEntry } from '../../../src/worker/snapshot/entry-identity.js';
import { SEED } from '../../seed.js';
import { Level } from '../support/lane-client.js';
import { DIRECTORY, OPTIONS, TestLog } from '../support/test-log.js';

const LSN = 3;

/** A closed log of five entries, and what a snapshot at the third one says. */
function closedLog(): { disk: SimulatedDisk; header: SnapshotHeader } {
  const disk = new SimulatedDisk({ seed: SEED });
  const log = new TestLog({ disk });
  for (let lsn = 1; lsn <= 5; lsn++) log.lane.append(`entry ${lsn}`, Level.durable);
  log.run();
  const { logId } = log.recovered.start;
  log.lane.close();
  log.run();
  const entry = identifyEntry(disk, DIRECTORY, logId, 0, LSN);
  assert.ok(entry !== undefined && entry.branch !== 0n);
  const header = { logId, branch: entry.branch, lsn: LSN, entryCrc: entry.crc, format: '', createdMs: 1 };
  return { disk, header };
}

function plant(disk: SimulatedDisk, header: SnapshotHeader): void {
  const tools = codecTools();
  const end = encodeSnapshotEnd(tools, new SnapshotSeal(header, tools.crc32), { bytes: 0, chunks: 0 });
  const file = Buffer.concat([encodeSnapshotStart(tools, header), end]);
  disk.plant(`${DIRECTORY}/${snapshotName(header.lsn)}`, file);
}

function reasonOf(disk: SimulatedDisk, header: SnapshotHeader, log = {}): string {
  plant(disk, header);
  const context = { logId: header.logId, firstLsn: 1, lastLsn: 5, segment: 0, ...log };
  const check = checkSnapshot(disk, { directory: DIRECTORY, lsn: header.lsn, log: context });
  return 'reason' in check ? check.reason : 'none';
}

test('a snapshot is of the log if its log_id, its branch and the CRC of its entry are', () => {
  const { disk, header } = closedLog();
  assert.equal(reasonOf(disk, header), 'none');
  assert.match(reasonOf(disk, { ...header, branch: header.branch ^ 2n }), /entry 3 is another one now/);
  assert.match(reasonOf(disk, { ...header, entryCrc: 5 }), /entry 3 is another one now/);
  assert.match(reasonOf(disk, { ...header, entryCrc: undefined }), /entry 3 is another one now/);
  assert.match(reasonOf(disk, header, { logId: 7n }), /of another log/);
  assert.match(reasonOf(disk, header, { logId: undefined }), /no id/);
  assert.match(reasonOf(disk, header, { lastLsn: 2 }), /the log ends before it, at entry 2/);
  assert.match(
    reasonOf(disk, header, { firstLsn: 5, segment: undefined }),
    /entries 4 to 4 after it are gone/,
  );
  // Its entry is gone, and the one after it is there.
  assert.equal(reasonOf(disk, header, { firstLsn: 4, segment: undefined }), 'none');
});

test('a snapshot above the end of the log is evidence only if it is of its log and of its branch', () => {
  const beyond = 9;
  for (const [change, isRefused] of [
    [{}, true],
    [{ logId: 7n }, false],
    [{ branch: 7n }, false],
  ] as const) {
    const { disk, header } = closedLog();
    const state = readState(disk, DIRECTORY);
    assert.ok(state !== undefined && 'branch' in state && state.branch === header.branch);
    plant(disk, { ...header, lsn: beyond, ...change });
    if (isRefused) assert.throws(() => recoverLog(disk, OPTIONS), /Entries up to 9 were acknowledged/);
    else assert.equal(recoverLog(disk, OPTIONS).report.lastLsn, 5);
  }
});

test('what an interrupted call has left is removed unread when the log is opened; anything else of such a name stays', () => {
  const { disk } = closedLog();
  disk.plant(`${DIRECTORY}/ringwal.snapshot-5.aside`, Buffer.from('part of a snapshot'));
  disk.plantDirectory(`${DIRECTORY}/ringwal.snapshot-6.aside`);
  const reads: string[] = [];
  disk.onOperation(({ kind, path }) => {
    if (kind === 'open' && path.endsWith('.aside') && path.includes('snapshot')) reads.push(path);
    return undefined;
  });
  recoverLog(disk, OPTIONS);
  assert.deepEqual(reads, []);
  const names = disk.names(DIRECTORY);
  assert.ok(!names.includes('ringwal.snapshot-5.aside') && names.includes('ringwal.snapshot-6.aside'));
});

test('an entry is found though the writer cuts off the bytes after the entries meanwhile', () => {
  const { disk, header } = closedLog();
  let opened = 0;
  const shrinking = changed<Disk>(disk, {
    open: (path, flags) => {
      const file = disk.open(path, flags);
      opened += 1;
      // The size is taken first. What is read after it is shorter, twice.
      const bytes = file.size() + (opened < 3 ? 300 : 0);
      return changed<DiskFile>(file, { size: () => bytes });
    },
  });
  const entry = identifyEntry(shrinking, DIRECTORY, header.logId, 0, LSN);
  assert.deepEqual([entry?.branch, entry?.crc, opened], [header.branch, header.entryCrc, 3]);
});

function changed<T extends object>(target: T, changes: Partial<T>): T {
  return new Proxy(target, {
    get: (_target, name) => {
      const value = Reflect.get(name in changes ? changes : target, name, target);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

/**
 * What a log does besides writing its frames and making them durable it can do without: the zeros ahead, the next segment, the
 * spare, the state file, its figures. Nothing that keeps it from such work may end it, cost an entry, or keep it from closing.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type {
  Operation,
  OperationKind,
  SimulatedDisk,
} from '../../../src/files/simulation/simulated-disk.js';
import {
  NEXT_FILE,
  SPARE_FILE,
  STATE_FILE_ASIDE,
  STATS_FILE,
  segmentName,
} from '../../../src/format/segment-name.js';
import { recoverLog } from '../../../src/worker/recover/recovery.js';
import { Level } from '../support/lane-client.js';
import { newDisk, OPTIONS, TestLog } from '../support/test-log.js';

const CODES = ['EFBIG', 'EIO', 'EACCES', 'EINVAL', 'EMFILE', 'ENOSPC'];

const MAX_FILE_SIZE = 16 * 1024;

/** Each in the log that does all of it. */
const WORK: Readonly<Record<string, readonly OperationKind[]>> = {
  [NEXT_FILE]: ['open', 'write', 'datasync', 'close', 'rename', 'unlink'],
  [SPARE_FILE]: ['open', 'write', 'datasync', 'close', 'size', 'rename', 'unlink'],
  [STATE_FILE_ASIDE]: ['open', 'write', 'datasync', 'close', 'rename'],
  [STATS_FILE]: ['open', 'write', 'close', 'stat', 'unlink'],
};

for (const [name, kinds] of Object.entries(WORK)) {
  for (const kind of kinds) {
    test(`no error of ${kind} on ${name} ends a log or costs an entry`, () => {
      let hits = 0;
      for (const code of CODES) {
        for (const preallocate of ['ahead', 'zero', 'recycle'] as const) {
          for (const times of [1, Number.POSITIVE_INFINITY]) {
            const what = `${code}, ${preallocate}, ${times} times`;
            assertHarmless(preallocate, what, (disk) => {
              let left = times;
              disk.onOperation((operation) => {
                if (operation.kind !== kind || !operation.path.endsWith(name) || left === 0) return undefined;
                left -= 1;
                hits += 1;
                return { code };
              });
            });
          }
        }
      }
      assert.ok(hits >= CODES.length, `${hits} hits`);
    });
  }
}

test('no error of a write of zeros ahead ends a log or costs an entry, nor of giving them back', () => {
  for (const code of CODES) {
    for (const kind of ['write', 'truncate'] as const) {
      assertHarmless('ahead', `${code} of ${kind}`, (disk) => {
        let hasFailed = false;
        let isGivingBack = false;
        disk.onOperation((operation) => {
          const isZeros = isZerosAhead(operation);
          if (isZeros) hasFailed = true;
          // The cut that follows the failed write; the later ones, at a rotation, are no optional work.
          const isCut = isGivingBack && operation.kind === 'truncate';
          isGivingBack = isZeros;
          if (isZeros || (isCut && kind === 'truncate')) return { code };
          return undefined;
        });
        return () => assert.ok(hasFailed, 'zeros were written');
      });
    }
  }
});

test('a look at the directory that fails puts the housework off, and ends nothing', () => {
  for (const code of ['EACCES', 'EIO', 'ELOOP']) {
    const disk = newDisk();
    const log = new TestLog({ disk });
    log.syncer.isPrompt = true;
    log.lane.append('first', Level.durable);
    log.run();
    disk.failNext('stat', code, { path: segmentName(0), times: 3 });
    for (let at = 0; at < 3; at++) {
      log.lane.append('more', Level.durable);
      log.run();
      log.sleep(2 * log.options.syncInterval);
    }
    assert.equal(log.lane.all('failed').length, 0, code);
    assert.equal(log.lane.all('trouble')[0]?.failure.cause?.code, code);
    assert.equal(log.state?.watermark, 0);
    log.lane.append('last', Level.durable);
    log.run();
    log.sleep(2 * log.options.syncInterval);
    assert.equal(log.state?.watermark, 5);
    log.close();
  }
});

test('a look at the directory that keeps failing is told at most once a second of the figures, not at each sync', () => {
  const disk = newDisk();
  const log = new TestLog({ disk });
  log.syncer.isPrompt = true;
  log.sleep(1500);
  disk.failNext('stat', 'EIO', { path: segmentName(0), times: 1000 });
  for (let at = 0; at < 50; at++) {
    log.lane.append('more', Level.durable);
    log.run();
  }
  assert.ok(log.lane.all('trouble').length <= 2, `${log.lane.all('trouble').length} times`);
  assert.equal(log.lane.all('failed').length, 0);
  log.dispose();
});

test('EFBIG of a write of frames ends the log, says how to go on, and a smaller maxFileSize does', () => {
  const disk = newDisk();
  const log = new TestLog({ disk });
  log.syncer.isPrompt = true;
  const limit = (operation: Operation) => {
    const { kind, position = 0, bytes = 0 } = operation;
    if (kind !== 'write' || position + bytes <= 10_000) return undefined;
    // As the system does: up to the limit the write goes, and the next one is refused.
    return position < 10_000 ? { bytes: 10_000 - position } : { code: 'EFBIG' };
  };
  disk.onOperation(limit);
  const sequences = Array.from({ length: 20 }, (_, at) => {
    const sequence = log.lane.append(entry(at), Level.durable);
    log.run();
    return sequence;
  });
  const acknowledged = log.lane.acknowledged('durable');
  const kept = sequences.filter((sequence) => acknowledged.has(sequence)).length;
  assert.ok(kept > 5 && kept < 20, `${kept} kept`);
  const { failure } = log.lane.all('failed')[0] ?? assert.fail();
  assert.equal(failure.cause?.code, 'EFBIG');
  assert.match(failure.message, /maxFileSize below the limit/);
  log.close();
  const next = new TestLog({ disk, options: { maxFileSize: 8_000 } });
  assert.equal(next.recovered.report.lastLsn, kept);
  next.syncer.isPrompt = true;
  const more = Array.from({ length: 20 }, (_, at) => {
    const sequence = next.lane.append(entry(at), Level.durable);
    next.run();
    return sequence;
  });
  for (const sequence of more) assert.ok(next.lane.acknowledged('durable').has(sequence));
  next.close();
});

/** Runs a log through all that it does, with `harm` done to its disk. `harm` may answer a check to be made at the end. */
function assertHarmless(
  preallocate: 'ahead' | 'zero' | 'recycle',
  what: string,
  // biome-ignore lint/suspicious/noConfusingVoidType: a harm that needs no check answers nothing
  harm: (disk: SimulatedDisk) => (() => void) | void,
): void {
  const disk = newDisk();
  const log = new TestLog({ disk, options: { preallocate, maxFileSize: MAX_FILE_SIZE, maxFiles: 3 } });
  log.syncer.isPrompt = true;
  const check = harm(disk);
  const sequences: number[] = [];
  for (let at = 0; at < 120; at++) {
    sequences.push(log.lane.append(entry(at), Level.durable));
    log.run();
    // An idle time now and then, and the second after which figures are published.
    if (at % 15 === 0) log.sleep(1500);
  }
  const acknowledged = log.lane.acknowledged('durable');
  assert.deepEqual(
    log.lane.all('failed').map(({ failure }) => failure.message),
    [],
    what,
  );
  assert.deepEqual(log.lane.rejected, [], what);
  assert.equal(sequences.filter((sequence) => acknowledged.has(sequence)).length, sequences.length, what);
  log.close();
  assert.deepEqual(log.lane.all('failed').length, 0, what);
  check?.();
  disk.clearFaults();
  disk.powerCut();
  const { report } = recoverLog(disk, { ...OPTIONS, maxFileSize: MAX_FILE_SIZE });
  assert.deepEqual([report.verdict, report.lastLsn], ['clean', sequences.length], what);
}

function entry(at: number): Uint8Array {
  return new Uint8Array(900).fill(1 + (at % 250));
}

/** Frames are written one entry at a time here. */
function isZerosAhead({ kind, path, bytes = 0 }: Operation): boolean {
  return kind === 'write' && path.includes('wal-') && bytes > 1500;
}

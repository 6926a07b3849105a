import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Disk, DiskFile } from '../../../src/files/disk.js';
import type { SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { type Inspection, inspectOn } from '../../../src/worker/inspect/inspect.js';
import { DIRECTORY, TestLog } from '../support/test-log.js';

const REQUEST = { directory: DIRECTORY, full: true };

/** A closed log of three segments. */
function closedLog(): SimulatedDisk {
  const log = new TestLog({ options: { maxFileSize: 200 } });
  for (let at = 0; at < 3; at++) log.lane.append(new Uint8Array(150).fill(at + 1));
  log.run();
  log.close();
  return log.disk;
}

/** The disk, on which the first `times` opens of `name` meet what `open` makes of them. */
function moving(
  disk: SimulatedDisk,
  name: string,
  times: number,
  open: (open: () => DiskFile) => DiskFile,
): Disk {
  let left = times;
  return new Proxy<Disk>(disk, {
    get(target, property) {
      const value = Reflect.get(target, property);
      if (typeof value !== 'function') return value;
      if (property !== 'open') return value.bind(target);
      return (path: string, ...rest: [never]) => {
        const openIt = () => target.open(path, ...rest);
        if (left === 0 || !path.endsWith(`/${name}`)) return openIt();
        left -= 1;
        return open(openIt);
      };
    },
  });
}

/** What a segment with room for more was before it was sealed. */
function longerThanItIs(open: () => DiskFile): DiskFile {
  const file = open();
  return new Proxy(file, {
    get(target, property) {
      if (property === 'size') return () => target.size() + 100;
      const value = Reflect.get(target, property);
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

test('a log of which a segment is cut while it is being read is looked at anew', () => {
  const disk = closedLog();
  const expected = inspectOn(disk, REQUEST) as Inspection;
  assert.equal(expected.judgement.verdict, 'clean');
  for (const name of ['wal-0', 'wal-1', 'wal-2']) {
    for (const times of [1, 2, 3]) {
      assert.deepEqual(inspectOn(moving(disk, name, times, longerThanItIs), REQUEST), expected);
    }
  }
});

test('a log of which retention removes a segment while it is being read is looked at anew', () => {
  const disk = closedLog();
  const removed = moving(disk, 'wal-0', 1, (open) => {
    disk.unlink(`${DIRECTORY}/wal-0`);
    return open();
  });
  const { judgement } = inspectOn(removed, REQUEST) as Inspection;
  assert.deepEqual([judgement.verdict, judgement.firstLsn, judgement.lastLsn], ['clean', 2, 3]);
});

test('a segment that is shorter than it says at every look is an error in the end', () => {
  const endless = moving(closedLog(), 'wal-1', Number.POSITIVE_INFINITY, longerThanItIs);
  const found = inspectOn(endless, REQUEST);
  assert.ok('failure' in found);
  assert.equal(found.failure.cause?.code, 'EIO');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { SimulatedDisk } from '../../src/files/simulation/simulated-disk.js';
import { WindowedSource } from '../../src/files/windowed-source.js';
import { seededTest } from '../seed.js';

const CONTENT = Uint8Array.from({ length: 3000 }, (_, i) => (i * 7) % 251);

function source(
  windowBytes: number,
  nuisance = 0,
  seed = 1,
): { source: WindowedSource; disk: SimulatedDisk } {
  const disk = new SimulatedDisk({ seed, nuisance });
  disk.plant('/a', CONTENT);
  return { source: new WindowedSource(disk.open('/a', 'r'), windowBytes), disk };
}

seededTest('any read returns exactly the bytes of the file, whatever the window and the disk do', (seed) => {
  const property = fc.property(
    fc.integer({ min: 0, max: 4000 }),
    fc.array(
      fc.tuple(
        fc.integer({ min: 0, max: 3200 }),
        fc.oneof(fc.integer({ min: 0, max: 200 }), fc.integer({ min: 0, max: 2 ** 31 })),
      ),
    ),
    (windowBytes, reads) => {
      const { source: windowed } = source(windowBytes, 0.05, seed);
      for (const [offset, length] of reads) {
        const expected = CONTENT.subarray(Math.min(offset, 3000), Math.min(offset + length, 3000));
        assert.deepEqual(windowed.read(offset, length), expected);
      }
    },
  );
  fc.assert(property, { seed });
});

test('going forward in small steps reads each window once', () => {
  const { source: windowed, disk } = source(1000);
  for (let offset = 0; offset < 3000; offset += 10) windowed.read(offset, 10);
  assert.equal(disk.trace.split('\n').filter((line) => line.includes('read')).length, 3);
});

test('a forged length allocates no more than the file has', () => {
  const { source: windowed } = source(100);
  assert.equal(windowed.read(1000, 2 ** 30).length, 2000);
  assert.equal(windowed.read(1000, Number.MAX_SAFE_INTEGER).buffer.byteLength, 2000);
  assert.equal(windowed.read(5000, 2 ** 30).length, 0);
});

test('what is appended later is not seen, and what is cut off meanwhile is EIO', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  disk.plant('/a', CONTENT);
  const writer = disk.open('/a', 'r+');
  const windowed = new WindowedSource(disk.open('/a', 'r'), 100);
  writer.write(CONTENT, 0, 100, 3000);
  assert.equal(windowed.size, 3000);
  assert.equal(windowed.read(2900, 200).length, 100);
  writer.truncate(2000);
  assert.throws(() => windowed.read(1950, 100), {
    code: 'EIO',
    message: /had 3000 bytes and ends at 2000 now/,
  });
  assert.deepEqual(windowed.read(1950, 50), CONTENT.subarray(1950, 2000));
});

test('after a read that failed the same read is made again, and not served from what the window held', () => {
  const { source: windowed, disk } = source(1000);
  windowed.read(2000, 10);
  disk.failNext('read', 'EIO');
  assert.throws(() => windowed.read(1500, 10), { code: 'EIO' });
  assert.deepEqual(windowed.read(1500, 10), CONTENT.subarray(1500, 1510));
});

test('closing it closes the file', () => {
  const { source: windowed, disk } = source(1000);
  windowed.close();
  windowed.close();
  assert.deepEqual(disk.openPaths, []);
});

import assert from 'node:assert/strict';
import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { endOfContent, HOLE_BYTES_MIN } from '../../src/files/content-end.js';
import type { DiskFile } from '../../src/files/disk.js';
import { createNodeDisk } from '../../src/files/node-disk.js';
import { Random, SimulatedDisk } from '../../src/files/simulation/simulated-disk.js';
import { temporaryDirectory } from '../cleanup.js';
import { seededTest } from '../seed.js';

const MIB = 1024 * 1024;

function put(file: DiskFile, bytes: Uint8Array, at: number): void {
  assert.equal(file.write(bytes, 0, bytes.length, at), bytes.length);
}

seededTest(
  'the end of what a file holds is found, wherever its holes are and whatever zeros take room',
  (seed, t) => {
    const random = new Random(seed);
    const directory = temporaryDirectory(t);
    for (let round = 0; round < 6; round++) {
      const file = createNodeDisk().open(join(directory, `file-${round}`), 'wx+');
      let end = 0;
      for (let pieces = random.below(6); pieces > 0; pieces--) {
        const at = random.below(3 * HOLE_BYTES_MIN);
        const bytes = new Uint8Array(1 + random.below(20_000));
        const isZero = random.chance(0.3);
        if (!isZero) bytes.fill(1 + random.below(255), random.below(bytes.length));
        put(file, bytes, at);
        // A later piece may lie over an earlier one: the last byte of the last of them stands.
        if (!isZero) end = Math.max(end, at + bytes.length);
        else if (at < end && at + bytes.length >= end) end = endByReading(file);
      }
      file.truncate(Math.max(end, random.below(4 * HOLE_BYTES_MIN)));
      assert.equal(endOfContent(file), end, `round ${round}`);
      const from = random.below(4 * HOLE_BYTES_MIN);
      assert.equal(endOfContent(file, from), Math.max(from, end), `round ${round} from ${from}`);
      file.close();
    }
  },
);

test('of a file that holds a megabyte no more than that is read, however long it is', (t) => {
  const directory = temporaryDirectory(t);
  const known = [0xef53, 0x58465342, 0x9123683e, 0x01021994];
  if (!known.includes(statfsSync(directory).type))
    return t.skip('this file system does not tell how much of a file there is');
  const file = createNodeDisk().open(join(directory, 'a'), 'wx+');
  put(file, new Uint8Array(MIB).fill(7), 0);
  put(file, Uint8Array.of(7), 3 * HOLE_BYTES_MIN);
  file.truncate(2 ** 40);
  let bytesRead = 0;
  assert.equal(
    endOfContent(file, 0, (bytes) => {
      bytesRead += bytes;
    }),
    3 * HOLE_BYTES_MIN + 1,
  );
  assert.ok(bytesRead <= 3 * HOLE_BYTES_MIN + MIB, `${bytesRead} bytes read`);
  file.close();
});

test('of a file without holes the end is looked for from its end', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const file = disk.open('/a', 'wx+');
  put(file, new Uint8Array(3 * MIB).fill(7), 0);
  file.truncate(3 * MIB + 1000);
  let bytesRead = 0;
  assert.equal(
    endOfContent(file, 0, (bytes) => {
      bytesRead += bytes;
    }),
    3 * MIB,
  );
  assert.equal(bytesRead, MIB);
  assert.equal(endOfContent(file, 3 * MIB + 500), 3 * MIB + 500);
  file.close();
});

function endByReading(file: DiskFile): number {
  const size = file.size();
  const window = new Uint8Array(MIB);
  for (let end = size; end > 0; end -= Math.min(end, MIB)) {
    const start = Math.max(0, end - MIB);
    const length = file.read(window.subarray(0, end - start), start);
    const at = window.subarray(0, length).findLastIndex((byte) => byte !== 0);
    if (at >= 0) return start + at + 1;
  }
  return 0;
}

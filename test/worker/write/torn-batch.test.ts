/** A batch that a crash has torn, at every byte: all of it or nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { STATE_FILE } from '../../../src/format/segment-name.js';
import { recoverLog } from '../../../src/worker/recover/recovery.js';
import { diskOf, type Image, imageOf } from '../recover/damaged-logs.js';
import { Level, RING_BYTES } from '../support/lane-client.js';
import { readFrames } from '../support/segments.js';
import { DIRECTORY, OPTIONS, TestLog } from '../support/test-log.js';

const SHAPES = [
  { what: 'in one group', entries: 6, bytes: 40, maxFileSize: 1024 * 1024 },
  { what: 'larger than a group', entries: 24, bytes: 120, maxFileSize: 1024 * 1024 },
  { what: 'that spans segments', entries: 12, bytes: 90, maxFileSize: 400 },
  { what: 'larger than the ring', entries: 5, bytes: 1000, maxFileSize: 3000 },
  { what: 'of one entry', entries: 1, bytes: 100, maxFileSize: 1024 * 1024 },
] as const;

for (const { what, entries, bytes, maxFileSize } of SHAPES) {
  test(`a batch ${what}, torn at every byte, is not there at all, and whole it is all there`, () => {
    const options = { maxFileSize };
    const log = new TestLog({ options });
    log.lane.append('before', Level.durable);
    log.run();
    log.finishSync();
    const before = imageOf(log.disk);
    const batch = Array.from({ length: entries }, (_, at) => Buffer.alloc(bytes, 65 + at));
    assert.equal(entries * bytes > RING_BYTES, what === 'larger than the ring');
    log.lane.appendBatch(batch, Level.written);
    log.run();
    // Written, and known to nobody as durable: the state file is the one before.
    const after: Image = new Map([...imageOf(log.disk), [STATE_FILE, before.get(STATE_FILE) as Uint8Array]]);
    log.dispose();

    const segments = [...after.keys()].filter((name) => name.startsWith('wal-')).sort();
    assert.equal(segments.length > 1, what === 'that spans segments' || what === 'larger than the ring');
    const wholeTexts = ['before', ...batch.map(String)];
    assert.deepEqual(textsAfterRecovery(after), wholeTexts);
    for (const [at, name] of segments.entries()) {
      const whole = after.get(name) as Uint8Array;
      const torn = new Map([...after].filter(([other]) => !segments.slice(at + 1).includes(other)));
      for (let end = before.get(name)?.length ?? 0; end < whole.length; end++) {
        torn.set(name, whole.subarray(0, end));
        assert.deepEqual(textsAfterRecovery(torn), ['before'], `${name} ends at byte ${end}`);
      }
    }
  });
}

function textsAfterRecovery(image: Image): string[] {
  const disk = diskOf(image);
  recoverLog(disk, OPTIONS);
  const files = {
    names: () => disk.names(DIRECTORY),
    contents: (name: string) => disk.contents(`${DIRECTORY}/${name}`),
  };
  return readFrames(files).map(({ data }) => Buffer.from(data).toString());
}

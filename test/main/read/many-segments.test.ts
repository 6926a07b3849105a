/** A log of very many segments: what one of them costs does not grow with their number. Decided by counts. */
import assert from 'node:assert/strict';
import fs, { utimesSync } from 'node:fs';
import { syncBuiltinESMExports } from 'node:module';
import { type TestContext, test } from 'node:test';
import { Wal, type WalEntry } from '#ringwal';
import { DirectoryListing } from '../../../src/files/directory-listing.js';
import { createNodeDisk } from '../../../src/files/node-disk.js';
import { SegmentList } from '../../../src/main/read/segment-list.js';
import type { SegmentInfo } from '../../../src/protocol/reports.js';
import { expiredSegments } from '../../../src/worker/upkeep/retention.js';
import {
  describeSegments,
  SegmentCatalog,
  type SegmentRecord,
} from '../../../src/worker/write/segment-catalog.js';
import { cleanUp, temporaryDirectory } from '../../cleanup.js';
import { fill, lsns, makeLog, openLog, range, temporaryLog } from '../support.js';

/** One entry a segment. */
const ONE_EACH = { maxFileSize: 4096 };
const ENTRY = fill(3000, 1);

/** As a log that was left alone for an hour. */
function rest(directory: string): void {
  const past = new Date(Date.now() - 3_600_000);
  utimesSync(directory, past, past);
}

/** Counts how often this thread lists a directory while `act` is under way. */
async function countListings(t: TestContext, act: () => Promise<void>): Promise<number> {
  const original = fs.readdirSync;
  const restore = () => {
    fs.readdirSync = original;
    syncBuiltinESMExports();
  };
  cleanUp(t, restore);
  let listings = 0;
  fs.readdirSync = ((...args: Parameters<typeof original>) => {
    listings++;
    return original(...args);
  }) as typeof original;
  syncBuiltinESMExports();
  await act();
  restore();
  return listings;
}

async function upTo(last: number, entries: AsyncIterable<WalEntry>): Promise<void> {
  for await (const { lsn } of entries) if (lsn === last) return;
  assert.fail(`entry ${last} does not come`);
}

for (const [what, read] of [
  ['opened and read', async (directory) => void (await readAll(directory, false))],
  ['read in reverse', async (directory) => void (await readAll(directory, true))],
  ['followed from another process', (directory, count) => upTo(count, Wal.follow(directory))],
] as [string, (directory: string, count: number) => Promise<void>][]) {
  test(`the directory is listed as often for many segments as for few when a log is ${what}`, async (t) => {
    const counts: number[] = [];
    for (const segments of [10, 60]) {
      const directory = temporaryLog(t);
      await makeLog(directory, Array(segments).fill(ENTRY), ONE_EACH);
      rest(directory);
      counts.push(await countListings(t, () => read(directory, segments)));
    }
    assert.equal(counts[1], counts[0]);
    assert.ok((counts[0] as number) <= 2, `${counts[0]} listings`);
  });
}

async function readAll(directory: string, reverse: boolean): Promise<void> {
  const log = await Wal.open(directory, { readOnly: true });
  const found = await lsns(log.entries({ reverse }));
  assert.equal(found.length, log.lastLsn);
  await log.close();
}

test('a log that this process writes is read and followed without listing its directory', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory, ONE_EACH);
  for (let left = 20; left > 0; left--) wal.append(ENTRY).catch(() => {});
  await wal.sync();
  const listings = await countListings(t, async () => {
    assert.deepEqual(await lsns(wal.entries()), range(1, 20));
    assert.deepEqual(await lsns(wal.entries({ reverse: true })), range(1, 20).reverse());
    await upTo(20, wal.follow());
    for (const lsn of range(1, 20)) await wal.get(lsn);
    assert.equal(wal.stats().segments, wal.segments().length);
  });
  assert.equal(listings, 0);
});

test('a directory is listed again once a name in it has changed, however soon, and not before', (t) => {
  const directory = temporaryDirectory(t);
  const listing = new DirectoryListing(createNodeDisk(), directory);
  for (let round = 0; round < 50; round++) {
    fs.writeFileSync(`${directory}/${round}`, '');
    assert.equal(listing.read().names.length, round + 1);
  }
  fs.renameSync(`${directory}/0`, `${directory}/renamed`);
  assert.ok(listing.read().names.includes('renamed'));
  rest(directory);
  const { names } = listing.read();
  assert.equal(listing.read().names, names);
  fs.appendFileSync(`${directory}/1`, 'more');
  assert.equal(listing.read().names, names);
  fs.rmSync(`${directory}/2`);
  assert.ok(!listing.read().names.includes('2'));
});

/** How often a field of one of many objects is read. */
class Watched {
  reads = 0;

  of<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (object, name) => {
        this.reads++;
        return Reflect.get(object, name);
      },
    });
  }

  /** The reads that `act` makes. */
  during(act: () => void): number {
    const before = this.reads;
    act();
    return this.reads - before;
  }
}

const segmentInfo = (number: number): SegmentInfo => ({
  number,
  path: `wal-${number}`,
  firstLsn: 10 * number + 1,
  lastLsn: 10 * number + 10,
  bytes: 100,
  createdMs: 1000 + number,
});

const SIZES = [1_000, 16_000] as const;

/** Asserts that `work`, done for logs of both sizes, reads no more for each segment of the larger one, but for `slack`. */
function assertLinear(work: (segments: number) => number, slack: number): void {
  const [few, many] = SIZES.map((segments) => work(segments) / segments) as [number, number];
  assert.ok(many <= few * slack, `${few} reads for each of ${SIZES[0]} segments, ${many} of ${SIZES[1]}`);
}

/** log2(16,000) / log2(1,000): what is found by halving takes a few steps more. */
const HALVING = 1.45;

test('to go from segment to segment, and to retire and begin them one by one, takes as long for each of many', () => {
  const walk = (list: SegmentList) => {
    for (let each = list.after(-1); each !== undefined; each = list.after(each.number));
    for (let each = list.last; each !== undefined; each = list.before(each.number));
  };
  assertLinear((segments) => {
    const watched = new Watched();
    const list = new SegmentList(range(0, segments - 1).map((n) => watched.of(segmentInfo(n))));
    return watched.during(() => walk(list));
  }, HALVING);
  assertLinear((segments) => {
    const watched = new Watched();
    const list = new SegmentList(range(0, segments - 1).map((n) => watched.of(segmentInfo(n))));
    return watched.during(() => {
      for (let number = 0; number < segments; number++) {
        list.push(watched.of(segmentInfo(segments + number)));
        list.dropThrough(number);
        list.holderOf(10 * (number + 5));
        list.bytesFrom(number + 1);
      }
    });
  }, HALVING);
});

test('a list of segments finds what a search through all of them finds, whatever was removed', () => {
  const list = new SegmentList();
  let all: SegmentInfo[] = [];
  for (let number = 0; number < 200; number++) {
    // Some hold no entry, and a number may be missing.
    const info = { ...segmentInfo(number), bytes: number };
    const each = number % 7 === 3 ? { ...info, firstLsn: 0, lastLsn: 0 } : info;
    if (number % 31 !== 30) {
      list.push(each);
      all.push(each);
    }
    if (number % 3 === 0) {
      const half = Math.floor(number / 2);
      list.dropThrough(half);
      all = all.filter((one) => one.number > half);
    }
    if (number % 50 === 49) {
      list.pop();
      all.pop();
    }
    assert.deepEqual(list.toArray(), all);
    assert.equal(list.length, all.length);
    for (const at of [-1, 0, Math.ceil(number / 2), number - 3, number, number + 1]) {
      const filled = all.filter(({ firstLsn }) => firstLsn !== 0);
      assert.equal(
        list.after(at),
        filled.find((one) => one.number > at),
      );
      assert.equal(
        list.before(at),
        filled.findLast((one) => one.number < at),
      );
      assert.equal(
        list.has(at),
        all.some((one) => one.number === at),
      );
      assert.equal(
        list.holderOf(10 * at + 5),
        filled.findLast(({ firstLsn }) => firstLsn <= 10 * at + 5),
      );
      const from = list.has(at) ? at : -1;
      assert.equal(
        list.bytesFrom(at),
        all.filter((one) => one.number >= from).reduce((sum, { bytes }) => sum + bytes, 0),
      );
    }
  }
});

const record = (number: number): SegmentRecord => ({
  number,
  firstLsn: 10 * number + 1,
  bytes: 100,
  createdMs: 1000 + ((number * 7919) % 100),
});

test('retention looks at a few segments at each rotation, however many there are', () => {
  assertLinear((segments) => {
    const watched = new Watched();
    const catalog = new SegmentCatalog(range(0, segments - 1).map((n) => watched.of(record(n))));
    const policy = { maxFiles: segments, maxTotalSize: Number.POSITIVE_INFINITY, maxAge: 1e9 };
    return watched.during(() => {
      for (let number = segments; number < 2 * segments; number++) {
        catalog.add(watched.of(record(number)));
        const watermark = 10 * number;
        const view = {
          segments: catalog,
          watermark,
          floor: 0,
          releasedLsn: watermark,
          pinned: -1,
          nowMs: 1e9,
          leadMs: () => 0,
        };
        const expired = expiredSegments(policy, view);
        assert.deepEqual(expired, [number - segments]);
        assert.equal(catalog.oldestLsnAfter(number - segments), 10 * (number - segments + 1) + 1);
        catalog.dropThrough(number - segments);
      }
    });
  }, 1.1);
});

test('the sums of a catalog are those of its segments, whatever came and went', () => {
  const catalog = new SegmentCatalog([]);
  let all: SegmentRecord[] = [];
  for (let number = 0; number < 300; number++) {
    const each = record(number);
    catalog.add(each);
    all.push(each);
    if (number % 4 === 0) {
      catalog.dropThrough(number - 20);
      all = all.filter((one) => one.number > number - 20);
    }
    if (number % 37 === 36) {
      catalog.cutAfter(number - 5, 40);
      all = all.filter((one) => one.number <= number - 5);
      assert.equal(all.at(-1)?.bytes, 40);
    }
    if (number % 41 === 40) {
      catalog.dropLast();
      all.pop();
    }
    assert.deepEqual(catalog.toArray(), all);
    assert.equal(
      catalog.bytes,
      all.reduce((sum, { bytes }) => sum + bytes, 0),
    );
    assert.equal(catalog.newestMs, Math.max(0, ...all.map(({ createdMs }) => createdMs)));
    assert.equal(catalog.oldestLsn, all[0]?.firstLsn ?? 0);
  }
});

test('the segments are described in one pass', () => {
  assertLinear((segments) => {
    const watched = new Watched();
    const catalog = new SegmentCatalog(
      range(0, segments - 1).map((n) => watched.of({ ...record(n), firstLsn: n % 5 === 0 ? 0 : 10 * n + 1 })),
    );
    return watched.during(() => {
      const described = describeSegments(catalog, '/log', 10 * segments);
      assert.equal(described.length, segments);
      assert.equal(described.at(-1)?.lastLsn, 10 * segments);
      assert.equal(described[1]?.lastLsn, 20);
    });
  }, 1.1);
});

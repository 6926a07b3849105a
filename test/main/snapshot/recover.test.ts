/** `recover`, and what becomes of snapshots that are damaged, stale, foreign or gone. */
import assert from 'node:assert/strict';
import {
  copyFileSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Wal, type WalOptions, type WalReader } from '#ringwal';
import { fill, freshLog, openLog, temporaryLog, text, walError } from '../support.js';

const SMALL: WalOptions = { maxFileSize: 4096, maxFiles: 1, retainFrom: 'snapshot', durable: true };

/** A state is the list of the texts of all entries up to an LSN. */
async function append(wal: Wal, count: number, word = 'entry'): Promise<void> {
  for (let each = 0; each < count; each++) await wal.append(`${word} ${wal.lastLsn + 1} `.padEnd(500, '.'));
}

async function stateOf(wal: WalReader): Promise<string[]> {
  const state: string[] = [];
  for await (const { data } of wal.entries()) state.push(text(data));
  return state;
}

function write(wal: Wal, lsn: number, state: readonly string[]) {
  return wal.writeSnapshot(lsn, [Buffer.from(JSON.stringify(state.slice(0, lsn)))], { format: 'list' });
}

async function recover(wal: WalReader) {
  let state: string[] = [];
  const loaded: number[] = [];
  const { snapshotLsn, replayed, rejected } = await wal.recover({
    load: async (stream, { lsn, format }) => {
      loaded.push(lsn);
      const chunks: Uint8Array[] = [];
      for await (const chunk of stream) chunks.push(chunk);
      assert.equal(format, 'list');
      state = JSON.parse(Buffer.concat(chunks).toString());
    },
    apply: (batch) => {
      for (const { data } of batch) state.push(text(data));
    },
  });
  assert.deepEqual(loaded, snapshotLsn === 0 ? [] : [snapshotLsn]);
  return { state, snapshotLsn, replayed, rejected: rejected.map(({ lsn, reason }) => ({ lsn, reason })) };
}

const pathOf = (wal: WalReader, lsn: number) => join(wal.directory, `ringwal.snapshot-${lsn}`);

function flipBit(path: string, offset = statSync(path).size >>> 1): void {
  const bytes = readFileSync(path);
  bytes[offset] = (bytes[offset] as number) ^ 4;
  writeFileSync(path, bytes);
}

/** A log of 40 entries with snapshots at 20 and 30; its beginning stays or is gone. */
async function logWithTwo(t: TestContext, isTrimmed: boolean): Promise<{ wal: Wal; state: string[] }> {
  const wal = await freshLog(t, isTrimmed ? SMALL : { durable: true });
  await append(wal, 30);
  const state = await stateOf(wal);
  await write(wal, 20, state);
  await write(wal, 30, state);
  for (let at = 0; at < 10; at++) {
    await append(wal, 1);
    state.push(text((await wal.get(wal.lastLsn))?.data ?? Buffer.of()));
  }
  assert.equal(wal.firstLsn > 1, isTrimmed);
  assert.ok(wal.firstLsn <= 21);
  return { wal, state };
}

test('recover hands out the newest snapshot, and every entry after it', async (t) => {
  const { wal, state } = await logWithTwo(t, true);
  assert.deepEqual(await recover(wal), { state, snapshotLsn: 30, replayed: 10, rejected: [] });
  const reader = await Wal.open(wal.directory, { readOnly: true });
  assert.deepEqual(await recover(reader), { state, snapshotLsn: 30, replayed: 10, rejected: [] });
  assert.deepEqual(reader.snapshots(), wal.snapshots());
  await reader.close();
  await wal.close();
  const again = await openLog(t, wal.directory, SMALL);
  assert.deepEqual(await recover(again), { state, snapshotLsn: 30, replayed: 10, rejected: [] });
});

test('without a snapshot recover replays the whole log; of an empty log nothing', async (t) => {
  const wal = await freshLog(t);
  assert.deepEqual(await recover(wal), { state: [], snapshotLsn: 0, replayed: 0, rejected: [] });
  await append(wal, 5);
  const state = await stateOf(wal);
  assert.deepEqual(await recover(wal), { state, snapshotLsn: 0, replayed: 5, rejected: [] });
});

test('the newest snapshot with a flipped bit: recover uses the one before, and says why', async (t) => {
  for (const isTrimmed of [true, false]) {
    const { wal, state } = await logWithTwo(t, isTrimmed);
    await wal.close();
    flipBit(pathOf(wal, 30));
    const again = await openLog(t, wal.directory, SMALL);
    const { rejected, ...found } = await recover(again);
    assert.deepEqual(found, { state, snapshotLsn: 20, replayed: 20 });
    assert.deepEqual(
      rejected.map(({ lsn }) => lsn),
      [30],
    );
    assert.match(rejected[0]?.reason ?? '', /chunk 0 at byte \d+ does not match its checksum/);
    await assert.rejects(
      (async () => {
        for await (const _ of again.readSnapshot(30)) assert.fail('a damaged chunk was handed out');
      })(),
      walError('ERR_WAL_CORRUPT', { lsn: 30, path: pathOf(again, 30) }),
    );
    // It does not count as kept, and is left for a person to look at.
    await append(again, 1);
    await write(again, 41, await fullState(again, state));
    assert.deepEqual(
      (await again.verifySnapshots()).map(({ lsn, isValid }) => [lsn, isValid]),
      [
        [41, true],
        [30, false],
        [20, true],
      ],
    );
    assert.ok(again.firstLsn <= 21);
    await again.removeSnapshot(30);
    assert.deepEqual(
      again.snapshots().map(({ lsn }) => lsn),
      [41, 20],
    );
    await again.close();
  }
});

async function fullState(wal: Wal, before: readonly string[]): Promise<string[]> {
  return [...before, text((await wal.get(wal.lastLsn))?.data ?? Buffer.of())];
}

test('all snapshots broken: recover replays a whole log, and names the gap of a trimmed one', async (t) => {
  for (const isTrimmed of [true, false]) {
    const { wal, state } = await logWithTwo(t, isTrimmed);
    await wal.close();
    // In the data, in the header, in the footer.
    flipBit(pathOf(wal, 30), 15);
    flipBit(pathOf(wal, 20), statSync(pathOf(wal, 20)).size - 6);
    const again = await openLog(t, wal.directory, SMALL);
    if (!isTrimmed) {
      const { rejected, ...found } = await recover(again);
      assert.deepEqual(found, { state, snapshotLsn: 0, replayed: 40 });
      assert.deepEqual(
        rejected.map(({ lsn }) => lsn),
        [30, 20],
      );
    } else {
      const gap = new RegExp(
        `entries 1 to ${again.firstLsn - 1} were removed.*at 30: .*header.*; at 20: .*footer`,
      );
      await assert.rejects(recover(again), walError('ERR_WAL_PURGED', { message: gap }));
    }
    assert.deepEqual(again.snapshots(), []);
    await again.close();
  }
});

test('a truncated snapshot, an empty file, another kind of file, a directory: named, and left alone', async (t) => {
  const { wal, state } = await logWithTwo(t, false);
  await wal.close();
  const { directory } = wal;
  writeFileSync(pathOf(wal, 30), readFileSync(pathOf(wal, 30)).subarray(0, 500));
  writeFileSync(pathOf(wal, 31), '');
  writeFileSync(pathOf(wal, 32), 'notes of somebody');
  mkdirSync(pathOf(wal, 33));
  copyFileSync(pathOf(wal, 20), pathOf(wal, 34));
  const names = readdirSync(directory).filter((name) => name.startsWith('ringwal.snapshot'));
  const again = await openLog(t, directory, { durable: true });
  const { rejected, ...found } = await recover(again);
  assert.deepEqual(found, { state, snapshotLsn: 20, replayed: 20 });
  const reasons = Object.fromEntries(rejected.map(({ lsn, reason }) => [lsn, reason]));
  assert.match(reasons[34] ?? '', /snapshot at entry 20 by its header/);
  assert.match(reasons[33] ?? '', /not a regular file but a directory/);
  assert.match(reasons[32] ?? '', /does not begin as a snapshot/);
  assert.match(reasons[31] ?? '', /does not begin as a snapshot/);
  assert.match(reasons[30] ?? '', /does not end as a snapshot/);
  await again.truncateAfter(25);
  await again.close();
  assert.deepEqual(
    readdirSync(directory).filter((name) => name.startsWith('ringwal.snapshot')),
    names,
  );
});

test('a snapshot of another log is named, left alone, and no evidence of anything', async (t) => {
  const other = await logWithTwo(t, false);
  const { wal, state } = await logWithTwo(t, false);
  await wal.close();
  copyFileSync(pathOf(other.wal, 30), pathOf(wal, 30));
  const bytes = readFileSync(pathOf(other.wal, 30));
  // Above the end of the log: of this log it would show that entries are missing.
  await append(other.wal, 60);
  await write(other.wal, 100, await stateOf(other.wal));
  copyFileSync(pathOf(other.wal, 100), pathOf(wal, 100));
  const again = await openLog(t, wal.directory, { durable: true });
  const { rejected, ...found } = await recover(again);
  assert.deepEqual(found, { state, snapshotLsn: 20, replayed: 20 });
  assert.deepEqual(rejected, [
    { lsn: 100, reason: 'it is of another log' },
    { lsn: 30, reason: 'it is of another log' },
  ]);
  assert.deepEqual(
    again.snapshots().map(({ lsn }) => lsn),
    [20],
  );
  await again.truncateAfter(15);
  await again.close();
  assert.deepEqual(readFileSync(pathOf(wal, 30)), bytes);
});

test('the same LSN after a cut and regrowth is another entry: a copy of the old snapshot is rejected', async (t) => {
  const { wal } = await logWithTwo(t, false);
  const copy = readFileSync(pathOf(wal, 30));
  await wal.truncateAfter(25);
  assert.deepEqual(
    wal.snapshots().map(({ lsn }) => lsn),
    [20],
  );
  const names = readdirSync(wal.directory);
  assert.ok(names.some((name) => name.startsWith('ringwal.cut-snapshot-30-')));
  assert.ok(!names.includes('ringwal.snapshot-30'));
  await append(wal, 10, 'grown again');
  const state = await stateOf(wal);
  await wal.close();
  writeFileSync(pathOf(wal, 30), copy);
  const again = await openLog(t, wal.directory, { durable: true });
  const { rejected, ...found } = await recover(again);
  assert.deepEqual(found, { state, snapshotLsn: 20, replayed: 15 });
  assert.match(rejected[0]?.reason ?? '', /entry 30 is another one now/);
  // A new one in its place is that of the new entry.
  await write(again, 30, state);
  assert.deepEqual(await recover(again), { state, snapshotLsn: 30, replayed: 5, rejected: [] });
});

test('a snapshot shows that its entry was durable: a log that ends before it is refused, and repaired', async (t) => {
  const wal = await openLog(t, temporaryLog(t), { durable: true });
  await append(wal, 10);
  await write(wal, 10, await stateOf(wal));
  await wal.close();
  // Without the state file nothing else shows that the last entry was acknowledged.
  const segment = join(wal.directory, 'wal-0');
  writeFileSync(segment, readFileSync(segment).subarray(0, -1));
  unlinkSync(join(wal.directory, 'ringwal.state'));
  await assert.rejects(
    Wal.open(wal.directory),
    walError('ERR_WAL_CORRUPT', { message: /up to 10 were acknowledged/ }),
  );
  assert.equal((await Wal.verify(wal.directory)).verdict, 'corrupt');
  const { sideFiles } = await Wal.repair(wal.directory);
  assert.ok(sideFiles.some((path) => path.includes('ringwal.cut-snapshot-10-')));
  const again = await openLog(t, wal.directory, { durable: true });
  assert.equal(again.lastLsn, 9);
  assert.deepEqual(again.snapshots(), []);
});

test('retention keeps what the oldest kept snapshot needs, and everything before there is one', async (t) => {
  const wal = await freshLog(t, SMALL);
  await append(wal, 60);
  assert.equal(wal.firstLsn, 1);
  const state = await stateOf(wal);
  await write(wal, 20, state);
  await append(wal, 10);
  assert.ok(wal.firstLsn > 1 && wal.firstLsn <= 21, `first ${wal.firstLsn}`);
  await write(wal, 40, state);
  await write(wal, 50, state);
  await append(wal, 10);
  assert.ok(wal.firstLsn > 21 && wal.firstLsn <= 41, `first ${wal.firstLsn}`);
  await wal.close();
  // Until one was read, nothing shows that any of them is intact.
  const again = await openLog(t, wal.directory, SMALL);
  const before = again.firstLsn;
  await append(again, 20);
  assert.equal(again.firstLsn, before);
  await recover(again);
  await append(again, 20);
  assert.ok(again.firstLsn <= 41);
});

const TAKING_THE_ONLY_SNAPSHOT: readonly (readonly [string, (wal: Wal) => Promise<unknown>])[] = [
  ['a cut', (wal) => wal.truncateAfter(4)],
  ['a reset', (wal) => wal.reset(1)],
  ['removeSnapshot', (wal) => wal.removeSnapshot(8)],
];

for (const [what, remove] of TAKING_THE_ONLY_SNAPSHOT) {
  test(`retention keeps every entry again once ${what} has taken the only snapshot`, async (t) => {
    const wal = await freshLog(t, { ...SMALL, maxFiles: 3 });
    await append(wal, 8);
    await write(wal, 8, await stateOf(wal));
    await remove(wal);
    await append(wal, 40);
    assert.equal(wal.firstLsn, 1);
    assert.deepEqual((await recover(wal)).state, await stateOf(wal));
  });
}

test('after a removal retention goes on once recover has read a snapshot that is left', async (t) => {
  const wal = await freshLog(t, { maxFileSize: 4096, durable: true });
  await append(wal, 30);
  for (const lsn of [8, 20, 30]) await wal.writeSnapshot(lsn, [Buffer.from('state')], { keep: 3 });
  await wal.close();
  const again = await openLog(t, wal.directory, SMALL);
  const recovering = { load() {}, apply() {} };
  await again.recover(recovering);
  for (const lsn of [8, 30]) await again.removeSnapshot(lsn);
  const { firstLsn } = again;
  assert.ok(firstLsn <= 9);
  await append(again, 40);
  assert.equal(again.firstLsn, firstLsn);
  assert.equal((await again.recover(recovering)).snapshotLsn, 20);
  await append(again, 10);
  assert.ok(again.firstLsn > firstLsn && again.firstLsn <= 21, `first ${again.firstLsn}`);
});

test('with several reasons in retainFrom an entry goes only if none of them keeps it', async (t) => {
  const wal = await freshLog(t, { ...SMALL, retainFrom: ['checkpoint', 'snapshot'] });
  await append(wal, 60);
  const state = await stateOf(wal);
  await wal.writeSnapshot(50, [Buffer.from(JSON.stringify(state.slice(0, 50)))], { keep: 1, format: 'list' });
  await append(wal, 10);
  assert.equal(wal.firstLsn, 1);
  await wal.checkpoint(20);
  await append(wal, 10);
  assert.ok(wal.firstLsn > 1 && wal.firstLsn <= 21, `first ${wal.firstLsn}`);
  await wal.checkpoint(80);
  await append(wal, 10);
  assert.ok(wal.firstLsn > 21 && wal.firstLsn <= 51, `first ${wal.firstLsn}`);
  for (const retainFrom of ['else', ['snapshot', 'else'], 5, [['snapshot']]])
    await assert.rejects(
      Wal.open(temporaryLog(t), { retainFrom: retainFrom as never }),
      walError('ERR_WAL_OPTION', { message: /retainFrom/ }),
    );
});

test('what load or apply throws ends recover, and no file stays open', async (t) => {
  const { wal } = await logWithTwo(t, false);
  const error = new Error('the application says no');
  const thrower = () => {
    throw error;
  };
  await assert.rejects(wal.recover({ load: thrower, apply() {} }), error);
  await assert.rejects(wal.recover({ load() {}, apply: thrower }), error);
  await assert.rejects(
    wal.recover({
      load: async (stream) => void (await stream[Symbol.asyncIterator]().next()),
      apply: thrower,
    }),
    error,
  );
  const controller = new AbortController();
  controller.abort(error);
  await assert.rejects(wal.recover({ load() {}, apply() {}, signal: controller.signal }), error);
  if (process.platform !== 'linux') return;
  const open = readdirSync('/proc/self/fd').length;
  for (let round = 0; round < 20; round++)
    await assert.rejects(wal.recover({ load: thrower, apply() {} }), error);
  assert.ok(readdirSync('/proc/self/fd').length <= open + 2);
});

test('a snapshot of many chunks is read whole before load sees a byte', async (t) => {
  const wal = await freshLog(t, { durable: true });
  await append(wal, 3);
  await wal.writeSnapshot(2, [fill(100, 1)]);
  await wal.writeSnapshot(3, [fill(5 * 2 ** 20, 1)]);
  await wal.close();
  flipBit(pathOf(wal, 3), statSync(pathOf(wal, 3)).size - 100);
  const again = await openLog(t, wal.directory);
  const loaded: number[] = [];
  const { rejected } = await again.recover({ load: (_, { lsn }) => loaded.push(lsn), apply() {} });
  assert.deepEqual(loaded, [2]);
  assert.match(rejected[0]?.reason ?? '', /chunk 4 at byte/);
});

test('a reader of a log that another process writes sees its snapshots come and go', async (t) => {
  const wal = await freshLog(t, { durable: true });
  await append(wal, 5);
  const reader = await Wal.open(wal.directory, { readOnly: true });
  assert.deepEqual(reader.snapshots(), []);
  await wal.writeSnapshot(3, [Buffer.from('three')]);
  await wal.writeSnapshot(4, [Buffer.from('four')]);
  assert.deepEqual(reader.snapshots(), wal.snapshots());
  await wal.writeSnapshot(5, [Buffer.from('five')]);
  assert.deepEqual(
    reader.snapshots().map(({ lsn }) => lsn),
    [5, 4],
  );
  await wal.removeSnapshot(4);
  await wal.removeSnapshot(4);
  assert.deepEqual(
    reader.snapshots().map(({ lsn }) => lsn),
    [5],
  );
  const chunks: Uint8Array[] = [];
  for await (const chunk of reader.readSnapshot(5)) chunks.push(chunk);
  assert.equal(text(Buffer.concat(chunks)), 'five');
  await reader.close();
});

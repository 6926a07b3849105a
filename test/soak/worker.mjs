/** The processes of the soak: `worker.mjs steady|crashing|checking DIRECTORY JSON`. */
import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { Wal } from 'ringwal';

const [role, directory, json] = process.argv.slice(2);
const data = JSON.parse(json);
const OPTIONS = {
  maxFileSize: 256 * 1024,
  maxFiles: 16,
  ringSize: 256 * 1024,
  syncInterval: 20,
  // Acknowledgements go another way then.
  busyPoll: data.busyPoll === true,
};
const SAMPLE_MS = 200;

let counter = 0;

/** An entry that proves itself: 4 bytes CRC, then what it is the CRC of. */
function entry(bytes) {
  const content = Buffer.alloc(Math.max(8, bytes), counter & 0xff);
  content.writeUInt32LE(counter++, 4);
  content.writeUInt32LE(crc32(content.subarray(4)), 0);
  return content;
}

function sizeOf(turn) {
  return turn % 997 === 0 ? 100_000 : turn % 41 === 0 ? 5_000 : 10 + (turn % 300);
}

/** Reads everything from where the log begins; LSNs must be gapless and every entry whole. Answers the last LSN, 0 = none. */
async function readAll(wal) {
  let next = 1;
  let hasBegun = false;
  for await (const batch of wal.batches()) {
    for (const { lsn, data } of batch) {
      assert.equal(lsn, hasBegun ? next : lsn, 'the LSNs have a gap');
      hasBegun = true;
      next = lsn + 1;
      const content = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
      assert.equal(crc32(content.subarray(4)), content.readUInt32LE(0), `entry ${lsn} is not whole`);
    }
  }
  return next - 1;
}

/** A reader may find that retention was faster; nothing else may go wrong. */
async function readSome(wal) {
  try {
    await readAll(wal);
  } catch (error) {
    if (error.code !== 'ERR_WAL_PURGED') throw error;
  }
}

/** One turn of mixed work; `onDurable` hears of each durable entry. */
async function work(wal, turn, onDurable) {
  const pending = [];
  const note = (promise) => pending.push(promise);
  for (let at = 0; at < 200; at++) {
    const bytes = entry(sizeOf(turn * 200 + at));
    if (at % 20 === 0) note(wal.append(bytes, { durable: true }).then(onDurable));
    else if (at % 33 === 0)
      note(
        wal.appendBatch([bytes, entry(50), entry(20)], { durable: true }).then(({ last }) => onDurable(last)),
      );
    else if (at % 7 === 0) note(wal.append(bytes));
    else if (!wal.tryAppend(bytes)) await wal.ready(bytes.length);
  }
  await Promise.all(pending);
  for (let at = 0; at < 5; at++) onDurable(await wal.append(entry(sizeOf(at)), { durable: true }));
}

/** A lane that comes and goes, as those of jobs in a pool do. */
async function workByLane(wal, turn) {
  const lane = await Wal.attach(wal.attachment());
  for (let at = 0; at < 20; at++) {
    const bytes = entry(sizeOf(at));
    while (!lane.tryAppend(bytes)) await lane.ready(bytes.length);
  }
  const last = lane.append(entry(30), { durable: true });
  if (turn % 2 === 0) await last;
  await lane.close();
  await last;
}

async function liveSteadily() {
  let wal = await Wal.open(directory, OPTIONS);
  let turn = 0;
  let sampledMs = 0;
  while (Date.now() < data.endMs) {
    await work(wal, turn++, () => {});
    await workByLane(wal, turn);
    if (turn % 20 === 0) await readSome(wal);
    if (turn % 50 === 0) await wal.checkpoint(wal.durableLsn);
    if (turn % 70 === 0) await wal.truncateBefore(wal.lastLsn - 1_000);
    if (turn % 90 === 0) await wal.truncateAfter(wal.lastLsn);
    if (turn % 200 === 0) {
      await wal.close();
      assert.equal((await Wal.verify(directory)).verdict, 'clean');
      wal = await Wal.open(directory, { ...OPTIONS, busyPoll: turn % 400 === 0 });
    }
    if (Date.now() - sampledMs > SAMPLE_MS) {
      sampledMs = Date.now();
      report(wal);
    }
  }
  await wal.close();
}

function report(wal) {
  globalThis.gc();
  const { rss, heapUsed } = process.memoryUsage();
  process.send({
    entries: wal.lastLsn,
    rssMiB: Math.round(rss / 2 ** 20),
    heapMiB: Math.round(heapUsed / 2 ** 20),
    descriptors: process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0,
    handles: process.getActiveResourcesInfo().length,
  });
}

/** Opens what a killed predecessor left: everything that it acknowledged must be there. */
async function openAndCheck() {
  const wal = await Wal.open(directory, {
    ...OPTIONS,
    maxFiles: Number.POSITIVE_INFINITY,
    maxTotalSize: 64 * 2 ** 20,
  });
  assert.ok(
    wal.lastLsn >= data.acked,
    `entries up to ${data.acked} were acknowledged, the log ends at ${wal.lastLsn}`,
  );
  assert.equal(await readAll(wal), wal.lastLsn);
  return wal;
}

async function liveUntilKilled() {
  const wal = await openAndCheck();
  let acked = data.acked;
  for (let turn = 0; ; turn++) {
    await work(wal, turn, (lsn) => {
      acked = Math.max(acked, lsn);
    });
    process.send({ acked });
  }
}

if (role === 'steady') await liveSteadily();
else if (role === 'crashing') await liveUntilKilled();
else await (await openAndCheck()).close();
process.disconnect();

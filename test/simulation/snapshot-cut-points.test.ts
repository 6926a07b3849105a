/** Every step of a snapshot is a cut point: the power goes there, the process is killed there, or the disk fails there. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import { type DiskOperation, SimulatedMachine } from '#ringwal/testing';
import { SEED } from '../seed.js';
import { DIRECTORY, Ledger, OPTIONS, openAndCheck, runUntil, TWO_CHUNKS } from './snapshot-life.js';

/** Of three cut points one is tried, which the seed chooses; with RINGWAL_CUTS=all each of them. */
const STRIDE = process.env.RINGWAL_CUTS === 'all' ? 1 : 3;

/** Snapshots, one in place of another, surplus ones, a cut that takes one, and one after it. */
async function live(machine: SimulatedMachine, ledger: Ledger): Promise<void> {
  const wal = await machine.open(DIRECTORY, OPTIONS);
  const fill = async (count: number) => {
    for (let at = 0; at < count; at++) await ledger.append(wal, `${ledger.entries.length} `.padEnd(700, '.'));
  };
  await fill(8);
  await ledger.snapshot(wal, 5);
  await fill(8);
  await ledger.snapshot(wal, 14, { fillBytes: TWO_CHUNKS });
  await ledger.snapshot(wal, 14);
  await fill(4);
  await ledger.snapshot(wal, 20);
  await ledger.truncateAfter(wal, 17);
  await ledger.appendBatch(wal, ['a', 'b', 'c']);
  await ledger.snapshot(wal, 20);
  await fill(6);
  await wal.close();
}

for (const kind of ['power-cut', 'kill'] as const) {
  test(`after a ${kind} at any operation the log opens with every acknowledged entry and snapshot`, async () => {
    let crashes = 0;
    for (let cut = SEED % STRIDE; ; cut += STRIDE) {
      const machine = new SimulatedMachine({ seed: SEED + cut });
      const ledger = new Ledger();
      const hasStopped = await runUntil(machine, cut, kind, () => live(machine, ledger));
      try {
        const wal = await openAndCheck(machine, ledger);
        await wal.close();
      } catch (error) {
        throw new Error(`${kind} after ${cut} operations, seed ${SEED}\n${machine.trace}`, { cause: error });
      }
      if (!hasStopped) break;
      crashes += 1;
    }
    assert.ok(crashes > 50, `${crashes} crashes`);
  });
}

const FAULTS = {
  ENOSPC: ['open', 'write', 'rename'],
  EIO: ['open', 'read', 'write', 'sync', 'sync-directory', 'rename', 'stat', 'unlink'],
} as const;

for (const code of ['ENOSPC', 'EIO'] as const) {
  for (const kind of FAULTS[code]) {
    test(`${code} of any ${kind} of a snapshot fails the call with a code and leaves nothing of it, or ends the log`, async () => {
      // No call has so many operations of one kind that fail without any harm one after the other.
      for (let after = 0, harmless = 0; harmless < 8; after++) {
        const hasFailed = await failOnce(code, kind, after);
        harmless = hasFailed ? 0 : harmless + 1;
      }
    });
  }
}

/** True = the call was rejected. */
async function failOnce(code: 'ENOSPC' | 'EIO', kind: DiskOperation, after: number): Promise<boolean> {
  const machine = new SimulatedMachine({ seed: SEED + after });
  const ledger = new Ledger();
  const wal = await machine.open(DIRECTORY, { ...OPTIONS, onError: () => {} });
  for (let each = 0; each < 12; each++) await ledger.append(wal, `${each} `.padEnd(700, '.'));
  await ledger.snapshot(wal, 4);
  await ledger.snapshot(wal, 8);
  machine.failNext(kind, code, { after });
  const refusal = await codeOf(ledger.snapshot(wal, 12, { fillBytes: TWO_CHUNKS }));
  machine.clearFaults();
  const where = `${code} of ${kind} ${after}, seed ${SEED}`;
  if (refusal !== undefined) assert.match(refusal, /^ERR_WAL_(IO|SYNC_FAILED)$/, where);
  const appendRefusal = await codeOf(ledger.append(wal, 'goes on'));
  if (appendRefusal === undefined) {
    const names = await machine.fs.promises.readdir(DIRECTORY);
    const asides = names.filter((name) => /^ringwal\.snapshot-.*\.aside$/.test(name));
    assert.deepEqual(asides, [], where);
    await wal.close();
  } else {
    // A sync of the directory has failed, which has the names of segments, or one of a segment.
    assert.equal(code, 'EIO', where);
    assert.match(appendRefusal, /^ERR_WAL_(IO|SYNC_FAILED)$/, where);
    await codeOf(wal.close());
  }
  await (await openAndCheck(machine, ledger)).close();
  return refusal !== undefined;
}

/** The code that the promise rejects with; `undefined`: it resolves. */
async function codeOf(promise: Promise<unknown>): Promise<string | undefined> {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return String((error as { code?: unknown }).code);
  }
}

test('a snapshot of a log on a simulated machine is one of a Wal', async () => {
  const machine = new SimulatedMachine({ seed: SEED });
  const wal = await machine.open(DIRECTORY, OPTIONS);
  assert.ok(wal instanceof Wal);
  await wal.append('one');
  const { lsn, bytes, path } = await wal.writeSnapshot(1, [Buffer.from('state')]);
  assert.deepEqual([lsn, bytes, path], [1, 5, `${wal.directory}/ringwal.snapshot-1`]);
  const chunks: Uint8Array[] = [];
  for await (const chunk of wal.readSnapshot(1)) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), 'state');
  await wal.close();
});

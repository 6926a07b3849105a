/** Random lives of logs with snapshots: crashes at any moment, cuts, and damage, against a model. */
import assert from 'node:assert/strict';
import type { Wal } from '#ringwal';
import { SimulatedMachine } from '#ringwal/testing';
import { Random } from '../../src/files/simulation/random.js';
import { seededTest } from '../seed.js';
import { DIRECTORY, Ledger, openAndCheck, recoverTexts, runUntil, TWO_CHUNKS } from './snapshot-life.js';

const LIVES = 25;
const BOOTS = 4;
const ACTIONS = 25;

seededTest('every life of a log with snapshots keeps what was acknowledged', async (seed) => {
  const counts = { snapshots: 0, cuts: 0, crashes: 0, rejected: 0 };
  for (let life = 0; life < LIVES; life++) {
    const machine = new SimulatedMachine({ seed: seed + life, nuisance: life % 2 === 0 ? 0.02 : 0 });
    try {
      await liveOn(machine, new Random(seed + life), counts);
    } catch (error) {
      throw new Error(`life ${life} of seed ${seed}\n${machine.trace.split('\n').slice(-60).join('\n')}`, {
        cause: error,
      });
    }
  }
  // Otherwise the lives show little.
  assert.ok(counts.snapshots > LIVES, JSON.stringify(counts));
  assert.ok(counts.cuts > LIVES / 2, JSON.stringify(counts));
  assert.ok(counts.crashes > LIVES, JSON.stringify(counts));
  assert.ok(counts.rejected > 0, JSON.stringify(counts));
});

interface Counts {
  snapshots: number;
  cuts: number;
  crashes: number;
  rejected: number;
}

async function liveOn(machine: SimulatedMachine, random: Random, counts: Counts): Promise<void> {
  const ledger = new Ledger();
  for (let boot = 0; boot < BOOTS; boot++) {
    const wal = await openAndCheck(machine, ledger);
    ledger.settle((await recoverTexts(wal)).texts);
    const crash = random.chance(0.5) ? 'power-cut' : 'kill';
    const hasCrashed = await runUntil(machine, 20 + random.below(400), crash, async () => {
      for (let at = 0; at < ACTIONS; at++) await act(wal, ledger, random, counts);
      await wal.close();
    });
    if (hasCrashed) counts.crashes += 1;
    // Damage to a log that a crash has torn may cost entries, and then it is refused. That is another test.
    else if (random.chance(0.5)) await damageNewest(machine, ledger, counts);
  }
}

async function act(wal: Wal, ledger: Ledger, random: Random, counts: Counts): Promise<void> {
  const text = () => `${ledger.entries.length} `.padEnd(random.pick([10, 400, 1500]), '.');
  const { entries } = ledger;
  if (random.chance(0.6) || entries.length < 3) {
    await ledger.append(wal, text());
  } else if (random.chance(0.3)) {
    // An lsn inside a batch would be refused: these are one.
    await ledger.appendBatch(wal, [text()]);
  } else if (random.chance(0.7)) {
    const lsn = Math.max(wal.firstLsn, entries.length - random.below(3));
    await ledger.snapshot(wal, lsn, { fillBytes: random.chance(0.1) ? TWO_CHUNKS : 0 });
    counts.snapshots += 1;
  } else {
    // Not below the older snapshot once what it stands for may have been given up.
    const isWhole = wal.firstLsn === 1 && wal.segments().length === 1;
    const least = isWhole ? 1 : Math.max(wal.firstLsn, ...ledger.snapshots);
    const to = random.chance(0.5) ? least : least + random.below(entries.length - least + 1);
    if (to >= entries.length) return;
    await ledger.truncateAfter(wal, to);
    counts.cuts += 1;
  }
}

/** One bit of the newest snapshot flips: `recover` names it, and comes to the same state without it. */
async function damageNewest(machine: SimulatedMachine, ledger: Ledger, counts: Counts): Promise<void> {
  const { fs } = machine;
  const names = (await fs.promises.readdir(DIRECTORY)).filter((name) => /^ringwal\.snapshot-\d+$/.test(name));
  const lsns = names.map((name) => Number(name.slice('ringwal.snapshot-'.length))).sort((a, b) => b - a);
  const [newest] = lsns;
  if (newest === undefined || lsns.length < 2) return;
  const path = `${DIRECTORY}/ringwal.snapshot-${newest}`;
  machine.damage({ path });
  const wal = await machine.open(DIRECTORY, { durable: true, maxFileSize: 4096, retainFrom: 'snapshot' });
  const { texts, snapshotLsn, rejected } = await recoverTexts(wal);
  assert.deepEqual(
    rejected.map(({ lsn }) => lsn),
    [newest],
  );
  assert.equal(snapshotLsn, lsns[1]);
  ledger.assertExplains(texts);
  counts.rejected += 1;
  // A person would do this, once it is known.
  await wal.removeSnapshot(newest);
  ledger.snapshots.delete(newest);
  await wal.close();
}

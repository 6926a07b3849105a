import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext } from 'node:test';
import { Wal, type WalReader } from '#ringwal';
import { Random, SimulatedDisk } from '../../../src/files/simulation/simulated-disk.js';
import { repairLog } from '../../../src/worker/recover/repair.js';
import { temporaryDirectory } from '../../cleanup.js';
import { seededTest } from '../../seed.js';
import { inflictDamage } from '../../simulation/damage.js';
import { imageOf } from '../../worker/recover/damaged-logs.js';
import { DIRECTORY, TestLog } from '../../worker/support/test-log.js';

const HOUR = 3_600_000;
const LIVES = 10;

interface Made {
  /** The clock when the entry was made, and the resolution of the writer that made it. */
  readonly ms: number;
  readonly resolutionMs: number;
}

interface Nature {
  readonly resolutions: readonly number[];
  /** How far the clock is set. */
  readonly errors: readonly number[];
  readonly isDamaged: boolean;
}

/** A log on a simulated disk, and when each of its entries was made. */
class ClockedLife {
  readonly disk: SimulatedDisk;
  readonly #random: Random;
  readonly #nature: Nature;
  readonly #made: Made[] = [];

  constructor(seed: number, nature: Nature) {
    this.disk = new SimulatedDisk({ seed });
    this.#random = new Random(seed);
    this.#nature = nature;
    for (let boot = 1 + this.#random.below(5); boot > 0; boot--) this.#boot();
  }

  #boot(): void {
    const random = this.#random;
    const timeResolution = random.pick(this.#nature.resolutions);
    const maxFileSize = random.pick([200, 700, 5000]);
    const log = new TestLog({ disk: this.disk, options: { timeResolution, maxFileSize } });
    for (let actions = random.below(40); actions > 0; actions--) {
      if (random.chance(0.1)) this.disk.clockErrorMs = random.pick(this.#nature.errors);
      log.advance(random.pick([0, 1, 30, 90, 100, 101, 400, random.chance(0.1) ? 30 * HOUR : 7]));
      const entries = Array.from({ length: 1 + random.below(4) }, () => this.#entry(timeResolution));
      if (random.chance(0.3)) log.lane.appendBatch(entries);
      else for (const entry of entries) log.lane.append(entry);
      log.run();
    }
    if (random.chance(0.5)) log.close();
    else {
      log.dispose();
      this.disk.killProcess();
    }
  }

  #entry(resolutionMs: number): string {
    const id = this.#made.push({ ms: this.disk.now(), resolutionMs }) - 1;
    return `${id} `.padEnd(this.#random.pick([5, 60, 250]), '.');
  }

  /** Breaks something and has it repaired. */
  damage(): void {
    // Rot is of the medium, and what a killed process had written may be in the page cache only.
    for (const name of this.disk.names(DIRECTORY)) {
      const file = this.disk.open(join(DIRECTORY, name), 'r+');
      file.sync();
      file.close();
    }
    inflictDamage(this.disk, this.#random);
    repairLog(this.disk, DIRECTORY, 'salvage', false, 0o600);
  }

  /** Copies the log to a directory of this machine. */
  export(t: TestContext): string {
    const directory = temporaryDirectory(t);
    for (const [name, bytes] of imageOf(this.disk)) writeFileSync(join(directory, name), bytes);
    return directory;
  }

  madeBy(data: Uint8Array): Made {
    return this.#made[Number.parseInt(Buffer.from(data).toString(), 10)] as Made;
  }

  /** Moments around those at which something happened. */
  moments(): number[] {
    const random = this.#random;
    const some = Array.from({ length: 25 }, () => random.pick(this.#made)?.ms ?? 0);
    return [0, ...some.flatMap((ms) => [ms, ms + random.pick([-1, 1, 50, 99, 100, 5000])])].sort(
      (a, b) => a - b,
    );
  }
}

interface Entry extends Made {
  readonly lsn: number;
}

async function entriesOf(reader: WalReader, life: ClockedLife): Promise<Entry[]> {
  const entries: Entry[] = [];
  for await (const { lsn, data } of reader.entries()) entries.push({ lsn, ...life.madeBy(data) });
  return entries;
}

async function lsnsOf(read: AsyncIterable<{ readonly lsn: number }>): Promise<number[]> {
  const lsns: number[] = [];
  for await (const { lsn } of read) lsns.push(lsn);
  return lsns;
}

/** What must hold whatever the clock did, of stamps that are believed. */
async function checkAlways(reader: WalReader, entries: readonly Entry[], moments: readonly number[]) {
  const { firstLsn, lastLsn } = reader;
  let before = 0;
  for (const ms of moments) {
    const lsn = await reader.lsnAt(ms);
    assert.ok(lsn >= before, `lsnAt(${ms}) went back from ${before} to ${lsn}`);
    assert.ok(lsn >= firstLsn && lsn <= lastLsn + 1);
    assert.equal(await reader.lsnAt(new Date(ms)), lsn, 'the second answer is another one');
    before = lsn;
    const late = entries.find((entry) => entry.lsn < lsn && entry.ms >= ms);
    assert.equal(late, undefined, `lsnAt(${ms}) is ${lsn}: too late`);
  }
  for (let at = 1; at < moments.length; at += 7) {
    const [since, until] = [moments[at - 1] as number, moments[at] as number];
    const forward = await lsnsOf(reader.entries({ since, until }));
    assert.deepEqual(await lsnsOf(reader.entries({ since, until, reverse: true })), [...forward].reverse());
    const batched: number[] = [];
    for await (const batch of reader.batches({ since, until })) batched.push(...batch.map(({ lsn }) => lsn));
    assert.deepEqual(batched, forward);
    const from = await reader.lsnAt(since);
    const wanted = entries.filter(({ lsn }) => lsn >= from && lsn <= (forward.at(-1) ?? 0));
    assert.deepEqual(
      forward,
      wanted.map(({ lsn }) => lsn),
    );
  }
}

describe('what readers answer about time', () => {
  const natures: readonly [string, Nature][] = [
    ['a steady clock', { resolutions: [100], errors: [0], isDamaged: false }],
    [
      'a steady clock and changing resolutions',
      { resolutions: [1, 10, 100, 1000], errors: [0], isDamaged: false },
    ],
    [
      'a steady clock and writers without stamps',
      { resolutions: [0, 100, 1000], errors: [0], isDamaged: false },
    ],
    ['a steady clock and a repair', { resolutions: [1, 100, 1000], errors: [0], isDamaged: true }],
    [
      'a clock that is set back and forth',
      {
        resolutions: [1, 100, 1000],
        errors: [0, -HOUR, HOUR, 100, -100, -40 * 365 * 24 * HOUR],
        isDamaged: false,
      },
    ],
  ];
  for (const [what, nature] of natures) {
    seededTest(`holds for ${what}`, async (seed, t) => {
      for (let round = 0; round < LIVES; round++) {
        const life = new ClockedLife(seed + round, nature);
        if (nature.isDamaged) life.damage();
        const reader = await Wal.open(life.export(t), { readOnly: true });
        try {
          const entries = await entriesOf(reader, life);
          const moments = life.moments();
          if (entries.length === 0) continue;
          await checkAlways(reader, entries, moments);
          if (nature.errors.length > 1 || nature.isDamaged || nature.resolutions.includes(0)) continue;
          await checkSteady(reader, entries, moments);
        } catch (error) {
          throw new Error(`life ${seed + round}: ${(error as Error).stack}`);
        } finally {
          await reader.close();
        }
      }
    });
  }

  seededTest('a clock that stood in 2035 for a while does not spoil what comes after', async (seed, t) => {
    for (let round = 0; round < LIVES; round++) {
      const life = new ClockedLife(seed + round, {
        resolutions: [100],
        errors: [0, 0, Date.UTC(2035, 0) - Date.UTC(2025, 0)],
        isDamaged: false,
      });
      const reader = await Wal.open(life.export(t), { readOnly: true });
      const entries = await entriesOf(reader, life);
      const now = Date.now();
      const believed = entries.filter(({ ms }) => ms <= now);
      for (const ms of life.moments().filter((each) => each <= now && believed.length > 0)) {
        const lsn = await reader.lsnAt(ms).catch((error: { code?: string }) => {
          assert.equal(error.code, 'ERR_WAL_UNSUPPORTED');
          // Nothing tells when the first entries were made.
          assert.ok((entries[0]?.ms ?? 0) > now);
          return undefined;
        });
        if (lsn === undefined) continue;
        assert.equal(
          believed.find((entry) => entry.lsn < lsn && entry.ms >= ms),
          undefined,
          `life ${seed + round}: lsnAt(${ms}) is ${lsn}: too late`,
        );
        // Too early by a resolution, or by the entries of that clock.
        const skipped = entries.filter((entry) => entry.lsn >= lsn && entry.ms <= ms - 100);
        const isEntry = entries.find((entry) => entry.lsn === lsn);
        assert.ok(
          skipped.length === 0 || (isEntry?.ms ?? 0) > now,
          `life ${seed + round}: lsnAt(${ms}) is early`,
        );
      }
      await reader.close();
    }
  });
});

/** What must hold where the clock only went forward, and every writer made stamps. */
async function checkSteady(reader: WalReader, entries: readonly Entry[], moments: readonly number[]) {
  for (const ms of moments) {
    const lsn = await reader.lsnAt(ms);
    const found = entries.find((entry) => entry.lsn === lsn);
    if (found !== undefined && lsn > reader.firstLsn) {
      assert.ok(found.ms > ms - found.resolutionMs, `lsnAt(${ms}) is ${lsn}, made at ${found.ms}: too early`);
    }
    const lsns = await lsnsOf(reader.entries({ until: ms }));
    const last = lsns.at(-1) ?? 0;
    const missed = entries.find((entry) => entry.lsn > last && entry.ms <= ms);
    assert.equal(missed, undefined, `until ${ms} ends with ${last}: too early`);
    const ending = entries.find((entry) => entry.lsn === last);
    assert.ok(
      ending === undefined || ending.ms < ms + ending.resolutionMs,
      `until ${ms} ends with ${last}: too late`,
    );
  }
}

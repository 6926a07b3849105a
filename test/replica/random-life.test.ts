import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { Random } from '../../src/files/simulation/random.js';
import { sameBytes } from '../../src/replica/chain.js';
import { decodeBatch } from '../../src/replica/payload.js';
import type { ReplicaProgress } from '../../src/replica/shipper.js';
import { FakeReplicaEngine } from '../../src/testing/fake-replica.js';
import { seededTest } from '../seed.js';
import { MemorySource } from './support/memory-source.js';
import { LOG_ID, TestShipper, turn, until } from './support/test-shipper.js';

const LIVES = 60;
const FAULTS = { lost: 0.05, unanswered: 0.08, late: 0.08, doubled: 0.05, reordered: 0.1 };

/**
 * One life of a replicated log: writers come one after the other, on the same machine or on another one, while their predecessors go on
 * as zombies. Whatever a writer announces must be in the remote from then on, with the bytes that it had; and the remote holds nothing
 * that its writer did not have.
 */
async function live(t: TestContext, seed: number): Promise<void> {
  const random = new Random(seed);
  const engine = new FakeReplicaEngine({
    seed,
    window: random.pick([1, 1, 3]),
    maxBatch: random.pick([40, 200, 65_536]),
    faults: FAULTS,
  });
  const acknowledged: ReplicaProgress[] = [];
  let number = 0;
  let source = new MemorySource();
  let known: ReplicaProgress | undefined;
  const writers: TestShipper[] = [];
  const check = () => {
    for (const each of acknowledged) assertHolds(engine, each);
  };
  for (let term = 0; term < 5; term++) {
    const log = source;
    const writer = new TestShipper(t, engine.connect(), log, {
      writer: `writer ${term}`,
      ...(known === undefined ? {} : { known }),
      onProgress: (progress) => {
        assertHolds(engine, progress);
        acknowledged.push(progress);
      },
    });
    writers.push(writer);
    for (let act = 0; act < 25 && writer.state !== 'stopped'; act++) {
      const texts = Array.from(
        { length: 1 + random.below(3) },
        () => `${term}:${number++} ${'x'.repeat(random.below(50))}`,
      );
      log.append(...texts);
      // Zombies append too.
      if (random.chance(0.3)) for (const { zombie } of zombies) zombie.append(`zombie ${number++}`);
      for (let each = random.below(12); each > 0; each--) await turn();
    }
    if (random.chance(0.5)) await writer.reaches(log.lastLsn);
    check();
    known = writer.progress.lsn === 0 ? undefined : writer.progress;
    const stays = random.chance(0.4);
    if (!stays) await writer.end();
    // The same machine goes on with the same log; another one begins with what the remote holds.
    if (stays || random.chance(0.5)) {
      zombies.push({ zombie: log });
      engine.faults = {};
      ({ source, known } = await takeOver(engine));
      engine.faults = FAULTS;
    } else source = log.copy();
  }
  engine.faults = {};
  engine.deliverLate();
  check();
  const last = new TestShipper(t, engine.connect(), ...(await lastTerm(engine)));
  await until(() => last.state === 'shipping' || last.state === 'stopped');
  assert.equal(last.state, 'shipping', String(last.troubles.at(-1)?.error));
  check();
  for (const writer of writers) await writer.end();
  zombies.length = 0;
}

const zombies: { zombie: MemorySource }[] = [];

async function lastTerm(engine: FakeReplicaEngine): Promise<[MemorySource, { known?: ReplicaProgress }]> {
  const { source, known } = await takeOver(engine);
  return [source, known === undefined ? {} : { known }];
}

/** A new machine: acquires, and takes over everything up to the head that the answer says. */
async function takeOver(
  engine: FakeReplicaEngine,
): Promise<{ source: MemorySource; known: ReplicaProgress | undefined }> {
  const replica = engine.connect();
  const head = await replica.acquire(LOG_ID, 'promoter');
  const source = new MemorySource();
  if (head.lsn > 0)
    for await (const batch of replica.read(1, new AbortController().signal))
      for (const frame of decodeBatch(batch)) source.add(frame);
  assert.equal(source.lastLsn, head.lsn);
  return { source, known: head.lsn === 0 ? undefined : head };
}

function assertHolds(engine: FakeReplicaEngine, { lsn, chain }: ReplicaProgress): void {
  if (lsn === 0) return;
  const { batches = [] } = engine.log(LOG_ID) ?? {};
  const found = batches.find(({ last }) => last === lsn);
  assert.ok(
    found !== undefined && sameBytes(found.chain, chain),
    `entry ${lsn} was acknowledged, and is lost`,
  );
}

seededTest(`what was acknowledged is in the remote for ever, in ${LIVES} lives`, async (seed, t) => {
  for (let each = 0; each < LIVES; each++) {
    try {
      await live(t, seed + each);
    } catch (error) {
      throw new Error(`the life with RINGWAL_SEED=${seed + each} failed: ${String(error)}`, { cause: error });
    }
  }
});

test('the lives notice an engine that forgets to compare epochs', async (t) => {
  const failures: unknown[] = [];
  for (let seed = 1; seed <= 40 && failures.length === 0; seed++) {
    const { append } = FakeReplicaEngine.prototype;
    FakeReplicaEngine.prototype.append = function (logId, batch) {
      const { epoch = 0 } = this.log(logId) ?? {};
      append.call(this, logId, { ...batch, epoch });
      // The newest writer is told what it expects: its own entries are gone then.
    };
    try {
      await live(t, seed);
    } catch (error) {
      failures.push(error);
    } finally {
      FakeReplicaEngine.prototype.append = append;
      zombies.length = 0;
    }
  }
  assert.notEqual(failures.length, 0);
});

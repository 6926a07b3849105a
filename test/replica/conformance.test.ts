import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Replica } from '../../src/replica/replica.js';
import { FakeReplicaEngine } from '../../src/testing/fake-replica.js';
import { replicaConformance } from '../../src/testing/replica-conformance.js';

for (const window of [1, 4]) {
  const engine = new FakeReplicaEngine({ window });
  for (const { title, run } of replicaConformance({ connect: () => engine.connect() }))
    test(`fake engine, window ${window}: ${title}`, run);
}

/** Adapters with a mistake, and a check that must notice it. */
const MISTAKES: Readonly<Record<string, (engine: FakeReplicaEngine) => Replica>> = {
  'appends under the newest epoch, whatever the batch says': (engine) =>
    changed(engine.connect(), (replica) => ({
      append: async (batch, signal) => {
        const rival = engine.connect();
        const [log] = await replica.logs();
        if (log === undefined) return replica.append(batch, signal);
        const id = (await replica.logs()).find(({ epoch }) => epoch > batch.epoch)?.logId;
        if (id === undefined) return replica.append(batch, signal);
        const head = await rival.acquire(id, 'rival');
        await rival.append({ ...batch, epoch: head.epoch }, signal);
      },
    })),
  'acknowledges appends that fail': (engine) =>
    changed(engine.connect(), (replica) => ({
      append: (batch, signal) => replica.append(batch, signal).catch(() => {}),
    })),
  'ignores the expected epoch': (engine) =>
    changed(engine.connect(), (replica) => ({ acquire: (logId, writer) => replica.acquire(logId, writer) })),
  'reads what is not asked for': (engine) =>
    changed(engine.connect(), (replica) => ({ read: (_from, signal) => replica.read(1, signal) })),
  'forgets the boundary of a cut': (engine) =>
    changed(engine.connect(), (replica) => ({
      cut: (epoch, cut) => replica.cut(epoch, { ...cut, boundary: undefined }),
    })),
  'answers a settle of old epochs': (engine) =>
    changed(engine.connect(), (replica) => ({
      settle: (epoch) => replica.settle(epoch).catch(() => ({ ...HEAD, epoch })),
    })),
  'does not trim': (engine) => changed(engine.connect(), () => ({ trim: async () => {} })),
};

const HEAD = { lsn: 0, chain: new Uint8Array(32), confirmed: 0, floor: 0, incarnation: '' };

for (const [mistake, connect] of Object.entries(MISTAKES)) {
  test(`the suite notices an adapter that ${mistake}`, async () => {
    const engine = new FakeReplicaEngine();
    const failed: string[] = [];
    for (const { title, run } of replicaConformance({ connect: () => connect(engine) }))
      await run().catch(() => failed.push(title));
    assert.notEqual(failed.length, 0);
  });
}

function changed(replica: Replica, change: (replica: Replica) => Partial<Replica>): Replica {
  const own = change(replica);
  return new Proxy(replica, {
    get: (target, name: keyof Replica) => {
      const value = own[name] ?? target[name];
      return typeof value === 'function' ? value.bind(target) : value;
    },
  });
}

import { NO_CHAIN, nextChain, sameBytes } from '../replica/chain.js';
import { encodeShipped, joinFrames } from '../replica/payload.js';
import type { Replica, ReplicaBatch, ReplicaHead, ReplicaPosition } from '../replica/replica.js';

/** One check of {@link replicaConformance}. */
export interface ReplicaCheck {
  /** A sentence about what a replica does. */
  readonly title: string;
  /** Rejects with an `Error` that says what the replica did instead. */
  readonly run: () => Promise<void>;
}

/** Options of {@link replicaConformance}. */
export interface ReplicaConformanceOptions {
  /** A new connection to the engine under test, of which the check closes every one that it opens. */
  readonly connect: () => Replica | Promise<Replica>;
}

type Check = (bench: Bench) => Promise<void>;

/**
 * The checks that every {@link Replica} must pass. They need an engine in which they may create logs; each works on logs of its own.
 *
 * ```js
 * import { replicaConformance } from 'ringwal/testing';
 *
 * for (const { title, run } of replicaConformance({ connect: () => connectToMyEngine() })) test(title, run);
 * ```
 */
export function replicaConformance(options: ReplicaConformanceOptions): readonly ReplicaCheck[] {
  return Object.entries(CHECKS).map(([title, check]) => ({
    title,
    run: async () => {
      const bench = new Bench(options.connect);
      try {
        await check(bench);
      } finally {
        await bench.close();
      }
    },
  }));
}

const CHECKS: Readonly<Record<string, Check>> = {
  'a log that is acquired for the first time is empty': async (bench) => {
    const head = await (await bench.connect()).acquire(bench.logId, 'first');
    same(head.lsn, 0, 'LSN');
    same(head.confirmed, 0, 'confirmed LSN');
    assert(sameBytes(head.chain, NO_CHAIN), 'the chain of an empty log is 32 zero bytes');
    assert(head.epoch >= 1, `the first epoch is 1 or more, not ${head.epoch}`);
  },

  'each writer gets a higher epoch, and the head that its predecessor left, confirmed': async (bench) => {
    const { replica, writer } = await bench.writer();
    await replica.append(writer.next('a', 'b'), never());
    const head = await (await bench.connect()).acquire(bench.logId, 'second');
    assert(head.epoch > writer.epoch, `epoch ${head.epoch} follows epoch ${writer.epoch}`);
    sameHead(head, writer.end);
    same(head.confirmed, 2, 'confirmed LSN');
  },

  'an append under an epoch that has ended is ERR_WAL_FENCED and has no effect': async (bench) => {
    const { replica, writer } = await bench.writer();
    const before = writer.end;
    const successor = await bench.connect();
    const head = await successor.acquire(bench.logId, 'second');
    await fails(replica.append(writer.next('late'), never()), 'ERR_WAL_FENCED');
    sameHead(await successor.settle(head.epoch), before);
  },

  'an append that does not continue the head has no effect': async (bench) => {
    const { replica, writer } = await bench.writer();
    const start = writer.end;
    const first = writer.next('a');
    await replica.append(first, never());
    const end = writer.end;
    await fails(replica.append({ ...writer.next('b'), first: 5 }, never()));
    await fails(replica.append({ ...writer.next('b'), prev: start.chain }, never()));
    sameHead(await replica.settle(writer.epoch), end);
    await sameBatches(replica, 1, [first]);
  },

  'a batch that is sent twice is there once': async (bench) => {
    const { replica, writer } = await bench.writer();
    const first = writer.next('a');
    await replica.append(first, never());
    await replica.append(first, never()).catch(() => {});
    sameHead(await replica.settle(writer.epoch), writer.end);
    await sameBatches(replica, 1, [first]);
  },

  'acquire with an expected epoch that is not the newest is ERR_WAL_FENCED and fences nobody': async (
    bench,
  ) => {
    const { replica, writer } = await bench.writer();
    await fails((await bench.connect()).acquire(bench.logId, 'second', writer.epoch + 7), 'ERR_WAL_FENCED');
    await replica.append(writer.next('a'), never());
    const head = await (await bench.connect()).acquire(bench.logId, 'second', writer.epoch);
    assert(head.epoch > writer.epoch, 'with the newest epoch it succeeds');
  },

  'of writers that acquire at once only one can append': async (bench) => {
    const rivals = await Promise.all([bench.connect(), bench.connect(), bench.connect()]);
    const heads = await Promise.all(rivals.map((rival, at) => rival.acquire(bench.logId, `rival ${at}`)));
    same(new Set(heads.map(({ epoch }) => epoch)).size, 3, 'number of different epochs');
    const newest = Math.max(...heads.map(({ epoch }) => epoch));
    for (const [at, head] of heads.entries()) {
      const append = (rivals[at] as Replica).append(new BatchMaker(head).next(`of ${at}`), never());
      if (head.epoch === newest) await append;
      else await fails(append, 'ERR_WAL_FENCED');
    }
  },

  'settle confirms the head, and under an epoch that has ended it is ERR_WAL_FENCED': async (bench) => {
    const { replica, writer } = await bench.writer();
    await replica.append(writer.next('a'), never());
    const head = await replica.settle(writer.epoch);
    sameHead(head, writer.end);
    same(head.confirmed, 1, 'confirmed LSN');
    await (await bench.connect()).acquire(bench.logId, 'second');
    await fails(replica.settle(writer.epoch), 'ERR_WAL_FENCED');
  },

  'read returns confirmed batches only, in order, from the one that holds the entry': async (bench) => {
    const { replica, writer } = await bench.writer();
    const batches = [writer.next('a', 'b', 'c'), writer.next('d'), writer.next('e', 'f')];
    for (const batch of batches) await replica.append(batch, never());
    const reader = await bench.connect();
    await reader.select(bench.logId);
    const early = await readAll(reader, 1);
    assert(early.length >= 2, 'a batch is confirmed at the latest when the next one is durable');
    await replica.settle(writer.epoch);
    await sameBatches(reader, 1, batches);
    await sameBatches(reader, 2, batches);
    await sameBatches(reader, 4, batches.slice(1));
    await sameBatches(reader, 7, []);
  },

  'a batch of maxBatch bytes and one of twice as many come back as they were': async (bench) => {
    const { replica, writer } = await bench.writer();
    const { maxBatch } = replica.limits;
    const text = 'x'.repeat(maxBatch);
    const batches = [writer.next(text.slice(64)), writer.next(text, text)];
    for (const batch of batches) await replica.append(batch, never());
    await replica.settle(writer.epoch);
    await sameBatches(replica, 1, batches);
  },

  'a whole window of appends at a time lands in order': async (bench) => {
    const { replica, writer } = await bench.writer();
    const batches = Array.from({ length: replica.limits.window }, (_, at) => writer.next(`entry ${at}`));
    await Promise.all(batches.map((batch) => replica.append(batch, never())));
    sameHead(await replica.settle(writer.epoch), writer.end);
    await sameBatches(replica, 1, batches);
  },

  'a cut between two batches removes those after it and raises the epoch': async (bench) => {
    const { replica, writer } = await bench.writer();
    const batches = [writer.next('a'), writer.next('b', 'c')];
    for (const batch of batches) await replica.append(batch, never());
    await replica.settle(writer.epoch);
    const { chain } = batches[0] as ReplicaBatch;
    const head = await replica.cut(writer.epoch, { lsn: 1, chain, empties: false, boundary: undefined });
    sameHead(head, { lsn: 1, chain });
    same(head.epoch, writer.epoch + 1, 'epoch');
    await fails(
      replica.append(new BatchMaker({ ...head, epoch: writer.epoch }).next('old'), never()),
      'ERR_WAL_FENCED',
    );
    const after = new BatchMaker(head);
    const other = after.next('other');
    await replica.append(other, never());
    await replica.settle(after.epoch);
    await sameBatches(replica, 1, [batches[0] as ReplicaBatch, other]);
  },

  'a cut inside a batch replaces it by the part that stays': async (bench) => {
    const { replica, writer } = await bench.writer();
    const first = writer.next('a');
    const maker = new BatchMaker({ ...writer.end, epoch: writer.epoch });
    const boundary = maker.next('b');
    for (const batch of [first, writer.next('b', 'c', 'd')]) await replica.append(batch, never());
    await replica.settle(writer.epoch);
    const head = await replica.cut(writer.epoch, { ...maker.end, empties: false, boundary });
    sameHead(head, maker.end);
    await sameBatches(replica, 1, [first, boundary]);
  },

  'a cut that empties the log lets it go on anywhere': async (bench) => {
    const { replica, writer } = await bench.writer();
    await replica.append(writer.next('a', 'b'), never());
    await replica.settle(writer.epoch);
    const cut = { lsn: 41, chain: NO_CHAIN, empties: true, boundary: undefined };
    const head = await replica.cut(writer.epoch, cut);
    sameHead(head, cut);
    same(head.floor, 42, 'floor');
    const after = new BatchMaker(head);
    const next = after.next('entry 42');
    await replica.append(next, never());
    await replica.settle(after.epoch);
    await sameBatches(replica, 42, [next]);
    await fails(readAll(replica, 1), 'ERR_WAL_PURGED');
  },

  'a cut by a writer whose epoch has ended is ERR_WAL_FENCED and has no effect': async (bench) => {
    const { replica, writer } = await bench.writer();
    await replica.append(writer.next('a'), never());
    const successor = await bench.connect();
    const head = await successor.acquire(bench.logId, 'second');
    const cut = { lsn: 0, chain: NO_CHAIN, empties: true, boundary: undefined };
    await fails(replica.cut(writer.epoch, cut), 'ERR_WAL_FENCED');
    sameHead(await successor.settle(head.epoch), writer.end);
  },

  'trim removes whole batches below the entry, and moves the floor': async (bench) => {
    const { replica, writer } = await bench.writer();
    const batches = [writer.next('a', 'b'), writer.next('c', 'd'), writer.next('e')];
    for (const batch of batches) await replica.append(batch, never());
    await replica.settle(writer.epoch);
    await replica.trim(writer.epoch, 4);
    const head = await replica.settle(writer.epoch);
    same(head.floor, 3, 'floor');
    sameHead(head, writer.end);
    await sameBatches(replica, 3, batches.slice(1));
    await fails(readAll(replica, 1), 'ERR_WAL_PURGED');
    await (await bench.connect()).acquire(bench.logId, 'second');
    await fails(replica.trim(writer.epoch, 5), 'ERR_WAL_FENCED');
  },

  'an append that is aborted has landed or has not, as settle says': async (bench) => {
    const { replica, writer } = await bench.writer();
    const start = writer.end;
    const batch = writer.next('a');
    const controller = new AbortController();
    const append = replica.append(batch, controller.signal).then(
      () => true,
      () => false,
    );
    controller.abort();
    const isAcknowledged = await append;
    const head = await replica.settle(writer.epoch);
    if (isAcknowledged || head.lsn > 0) sameHead(head, writer.end);
    else sameHead(head, start);
  },

  'logs are independent, listed, and chosen by their id': async (bench) => {
    const { writer } = await bench.writer();
    const other = await bench.connect();
    const otherId = randomId();
    const head = await other.acquire(otherId, 'other');
    await other.append(new BatchMaker(head).next('of the other log'), never());
    const reader = await bench.connect();
    const logs = await reader.logs();
    same(logs.find(({ logId }) => logId === bench.logId)?.epoch, writer.epoch, 'epoch that is listed');
    same(logs.find(({ logId }) => logId === otherId)?.writer, 'other', 'writer that is listed');
    same(await reader.select(otherId), otherId, 'log that was selected');
    await fails(reader.select(randomId()));
  },

  'after close every call fails': async (bench) => {
    const { replica, writer } = await bench.writer();
    await replica.close();
    await fails(replica.append(writer.next('a'), never()));
    await fails(replica.settle(writer.epoch));
  },
};

/** The connections and the log of one check. */
class Bench {
  readonly logId = randomId();
  readonly #connect: ReplicaConformanceOptions['connect'];
  readonly #open: Replica[] = [];

  constructor(connect: ReplicaConformanceOptions['connect']) {
    this.#connect = connect;
  }

  async connect(): Promise<Replica> {
    const replica = await this.#connect();
    this.#open.push(replica);
    return replica;
  }

  async writer(): Promise<{ replica: Replica; writer: BatchMaker }> {
    const replica = await this.connect();
    return { replica, writer: new BatchMaker(await replica.acquire(this.logId, 'conformance')) };
  }

  async close(): Promise<void> {
    await Promise.all(this.#open.map((replica) => replica.close()));
  }
}

/** Makes batches that continue one another. */
class BatchMaker {
  readonly epoch: number;
  end: ReplicaPosition;

  constructor({ epoch, lsn, chain }: Pick<ReplicaHead, 'epoch' | 'lsn' | 'chain'>) {
    this.epoch = epoch;
    this.end = { lsn, chain };
  }

  next(...texts: string[]): ReplicaBatch {
    const { lsn, chain: prev } = this.end;
    const frames = texts.map((text, at) =>
      encodeShipped({ lsn: lsn + 1 + at, data: Buffer.from(text), batchRemaining: 0, skipped: 0 }),
    );
    const data = joinFrames(frames);
    const chain = nextChain(prev, data);
    this.end = { lsn: lsn + texts.length, chain };
    return { epoch: this.epoch, first: lsn + 1, last: lsn + texts.length, prev, chain, data };
  }
}

function randomId(): string {
  let id = '';
  while (id.length < 16) id += Math.floor(Math.random() * 16).toString(16);
  return id;
}

function never(): AbortSignal {
  return new AbortController().signal;
}

async function readAll(replica: Replica, from: number): Promise<ReplicaBatch[]> {
  const batches: ReplicaBatch[] = [];
  for await (const batch of replica.read(from, never())) batches.push(batch);
  return batches;
}

async function sameBatches(replica: Replica, from: number, expected: readonly ReplicaBatch[]): Promise<void> {
  const found = await readAll(replica, from);
  same(describe(found), describe(expected), `batches from entry ${from} on`);
  for (const [at, batch] of expected.entries()) {
    const other = found[at] as ReplicaBatch;
    const isSame = sameBytes(other.data, batch.data) && sameBytes(other.chain, batch.chain);
    assert(
      isSame && sameBytes(other.prev, batch.prev),
      `the batch of entry ${batch.first} came back changed`,
    );
  }
}

function describe(batches: readonly ReplicaBatch[]): string {
  return batches.map(({ first, last }) => `${first}–${last}`).join(', ');
}

function sameHead(head: ReplicaPosition, expected: ReplicaPosition): void {
  same(head.lsn, expected.lsn, 'LSN of the head');
  assert(sameBytes(head.chain, expected.chain), `the chain at entry ${head.lsn} is another one`);
}

function same(found: unknown, expected: unknown, what: string): void {
  assert(found === expected, `${what}: ${String(expected)} expected, ${String(found)} found`);
}

function assert(isTrue: boolean, complaint: string): void {
  if (!isTrue) throw new Error(complaint);
}

async function fails(promise: Promise<unknown>, code?: string): Promise<void> {
  let error: unknown;
  try {
    await promise;
  } catch (caught) {
    error = caught;
  }
  assert(
    error !== undefined,
    `the call succeeded${code === undefined ? '' : ` instead of failing with ${code}`}`,
  );
  const found = (error as { code?: unknown }).code;
  assert(
    code === undefined || found === code,
    `the call failed with ${String(found)} instead of ${code}: ${String(error)}`,
  );
}

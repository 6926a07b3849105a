/** What a caller hands over is looked at once, and nothing of it can do harm: views, batches, options, signals. */
import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { MessageChannel } from 'node:worker_threads';
import { Wal, type WalAttachment, type WalOptions } from '#ringwal';
import {
  collect,
  freshLog,
  makeLog,
  openLog,
  SMALL_RING,
  temporaryLog,
  texts,
  walError,
} from '../support.js';

const refusal = walError('ERR_WAL_OPTION');

/** A view whose memory was transferred. */
function detached<T extends ArrayBufferView>(view: T): T {
  structuredClone(view, { transfer: [view.buffer as ArrayBuffer] });
  return view;
}

/** Typed as any program may have it: not every Node that is supported has types for it. */
interface Resizable extends ArrayBuffer {
  resize(bytes: number): void;
}

function resizable(bytes: number, bytesMax: number): Resizable {
  const Maker = ArrayBuffer as unknown as new (bytes: number, options: object) => Resizable;
  return new Maker(bytes, { maxByteLength: bytesMax });
}

/** A view that reaches beyond its memory. */
function outOfBounds<T extends ArrayBufferView>(make: (memory: ArrayBuffer) => T): T {
  const memory = resizable(16, 16);
  const view = make(memory);
  memory.resize(4);
  return view;
}

const revoked = Proxy.revocable(new Uint8Array(4), {});
revoked.revoke();

const NO_BYTES: Record<string, () => unknown> = {
  'a detached Uint8Array': () => detached(new Uint8Array(4)),
  'a detached empty Uint8Array': () => detached(new Uint8Array(new ArrayBuffer(8), 8, 0)),
  'a detached Buffer': () => detached(Buffer.from(new ArrayBuffer(4))),
  'a large detached Uint8Array': () => detached(new Uint8Array(SMALL_RING)),
  'a detached Float64Array': () => detached(new Float64Array(4)),
  'a detached DataView': () => detached(new DataView(new ArrayBuffer(4))),
  'a Uint8Array beyond its memory': () => outOfBounds((memory) => new Uint8Array(memory, 8, 8)),
  'a Float32Array beyond its memory': () => outOfBounds((memory) => new Float32Array(memory, 8, 1)),
  'a DataView beyond its memory': () => outOfBounds((memory) => new DataView(memory, 8, 8)),
  'a Proxy around a Uint8Array': () => new Proxy(new Uint8Array(4), {}),
  'a Proxy around a DataView': () => new Proxy(new DataView(new ArrayBuffer(4)), {}),
  'a revoked Proxy': () => revoked.proxy,
  'what inherits from a Uint8Array': () => Object.create(new Uint8Array(4)),
  'what inherits from the class': () => Object.create(Uint8Array.prototype),
  'what inherits from DataView': () => Object.create(DataView.prototype),
  'an object whose class throws': () => ({
    get constructor() {
      throw new Error('constructor');
    },
  }),
  'an object without a prototype': () => Object.create(null),
};

for (const [what, make] of Object.entries(NO_BYTES)) {
  test(`${what} is refused with ERR_WAL_OPTION and nothing is taken`, async (t) => {
    const wal = await freshLog(t, { ringSize: SMALL_RING });
    const data = () => make() as Uint8Array;
    await assert.rejects(wal.append(data()), refusal);
    assert.throws(() => wal.tryAppend(data()), refusal);
    await assert.rejects(wal.appendBatch([data()]), refusal);
    await assert.rejects(wal.appendBatch(['first', data(), 'last']), refusal);
    const stream = wal.createLogStream();
    assert.throws(() => stream.write(data()), refusal);
    stream.write('the stream lives\n');
    assert.equal(wal.stats().accepted, 1);
    assert.deepEqual(await texts(wal.entries({ to: await wal.sync() })), ['the stream lives']);
  });
}

test('a chunk whose memory is gone ends the stream that it is piped into, and no process', async (t) => {
  const wal = await freshLog(t);
  const stream = wal.createLogStream();
  const error = new Promise((resolve) => {
    stream.once('error', resolve);
  });
  Readable.from([Buffer.from('a\n'), detached(Buffer.from(new ArrayBuffer(4)))]).pipe(stream);
  refusal(await error);
  assert.equal(wal.stats().accepted, 1);
});

test('empty views whose memory is there are empty entries', async (t) => {
  const wal = await freshLog(t);
  const memory = resizable(0, 16);
  for (const data of [new Uint8Array(0), new Uint8Array(memory), new DataView(memory), Buffer.alloc(0)]) {
    await wal.append(data as Uint8Array);
  }
  assert.deepEqual(await texts(wal.entries()), ['', '', '', '']);
});

test('properties of a view that say something else than the view are not looked at', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING, maxEntrySize: 2 ** 20 });
  let reads = 0;
  const lie = (value: unknown) => ({
    get: () => {
      reads += 1;
      return value;
    },
  });
  class Lying extends Uint8Array<ArrayBuffer> {
    static get [Symbol.species](): Uint8ArrayConstructor {
      reads += 1;
      throw new Error('species');
    }
  }
  const LIES = {
    length: lie(2 ** 20),
    byteLength: lie(0),
    byteOffset: lie(1),
    buffer: lie(new ArrayBuffer(0)),
    constructor: lie(undefined),
    subarray: lie(undefined),
    set: lie(undefined),
    [Symbol.iterator]: lie(undefined),
    [Symbol.toStringTag]: lie('Float64Array'),
  };
  const expected: string[] = [];
  // Around the lengths at which the way of copying changes, at an offset where it matters.
  for (const length of [0, 1, 8, 9, 127, 128, 2048, 2049, 5000, SMALL_RING / 4, SMALL_RING]) {
    const make = () => {
      const view = new Lying(new ArrayBuffer(length + 3), 3, length).fill(97 + (length % 26));
      return Object.defineProperties(view, LIES);
    };
    const text = String.fromCharCode(97 + (length % 26)).repeat(length);
    while (!wal.tryAppend(make())) await wal.ready(length);
    await wal.append(make());
    await wal.appendBatch([make(), make()]);
    const stream = wal.createLogStream();
    stream.write(make());
    stream.end();
    await wal.sync();
    expected.push(text, text, text, text, ...(length === 0 ? [] : [text]));
    // What overruns the ring is queued in front of it.
    const queued: Promise<number>[] = [];
    while (wal.stats().pendingBytes === 0 && queued.length < 5_000) queued.push(wal.append(make()));
    await Promise.all(queued);
    expected.push(...queued.map(() => text));
  }
  assert.deepEqual(await texts(wal.entries()), expected);
  assert.equal(reads, 0);
});

test('a view follows its memory, and its bytes are those of the moment of the call', async (t) => {
  const wal = await freshLog(t);
  const memory = resizable(4, 16);
  const view = new Uint8Array(memory).fill(97);
  wal.tryAppend(view);
  memory.resize(2);
  wal.tryAppend(view);
  memory.resize(6);
  wal.tryAppend(view);
  await wal.sync();
  assert.deepEqual(await texts(wal.entries()), ['aaaa', 'aa', 'aa\0\0\0\0']);
});

// ── Batches ─────────────────────────────────────────────────────────────────────────────────────────────────────

class Doubled extends Array<string> {
  override *[Symbol.iterator](): ArrayIterator<string> {
    for (let at = 0; at < this.length; at++) {
      yield this[at] as string;
      yield this[at] as string;
    }
  }
}
class Halved extends Array<string> {
  override *[Symbol.iterator](): ArrayIterator<string> {
    for (let at = 0; at < this.length; at += 2) yield this[at] as string;
  }
}

function withGetter(entries: string[], at: number, get: (entries: string[]) => unknown): string[] {
  return Object.defineProperty(entries, at, {
    get: () => get(entries),
    configurable: true,
    enumerable: true,
  });
}

const BATCHES: { what: string; make: (pad: string) => string[]; taken: string[] }[] = [
  {
    what: 'whose iteration gives more than its length',
    make: (pad) => Doubled.from(['a', 'b'].map((each) => each + pad)),
    taken: ['a', 'a', 'b', 'b'],
  },
  {
    what: 'whose iteration gives less than its length',
    make: (pad) => Halved.from(['a', 'b', 'c'].map((each) => each + pad)),
    taken: ['a', 'c'],
  },
  {
    what: 'that a getter of its own shrinks',
    make: (pad) =>
      withGetter([`a${pad}`, 'b', 'c', 'd'], 1, (entries) => {
        entries.length = 2;
        return `B${pad}`;
      }),
    taken: ['a', 'B'],
  },
  {
    what: 'that a getter of its own lengthens',
    make: (pad) =>
      withGetter([`a${pad}`, 'b'], 1, (entries) => {
        if (entries.length === 2) entries.push(`c${pad}`);
        return `B${pad}`;
      }),
    taken: ['a', 'B', 'c'],
  },
];

for (const { what, make, taken } of BATCHES) {
  test(`a batch ${what} counts what was taken, and later promises settle`, async (t) => {
    // Through the ring, and too large for it.
    for (const pad of ['', '.'.repeat(SMALL_RING / 2)]) {
      const wal = await freshLog(t, { ringSize: SMALL_RING });
      assert.equal(await wal.append('before'), 1);
      assert.deepEqual(await wal.appendBatch(make(pad)), { first: 2, last: 1 + taken.length });
      assert.equal(await wal.append('after', { durable: true }), 2 + taken.length);
      assert.equal(wal.stats().accepted, 2 + taken.length);
      const padded = taken.map((text) => text + pad);
      assert.deepEqual(await texts(wal.entries()), ['before', ...padded, 'after']);
    }
  });
}

test('a batch whose iteration gives nothing is one of no entries', async (t) => {
  const wal = await freshLog(t);
  class Empty extends Array<string> {
    override *[Symbol.iterator](): ArrayIterator<string> {}
  }
  assert.deepEqual(await wal.appendBatch(Empty.from(['a', 'b'])), { first: 1, last: 0 });
  await assert.rejects(wal.appendBatch(new Proxy(['a'], {})), refusal);
  assert.equal(wal.stats().accepted, 0);
  assert.equal(await wal.append('a'), 1);
});

test('a batch whose later element takes the memory of an earlier one away is refused as a whole', async (t) => {
  const wal = await freshLog(t);
  const view = new Uint8Array(4);
  const entries = withGetter(['', 'b'], 1, () => {
    detached(view);
    return 'B';
  }) as unknown as Uint8Array[];
  entries[0] = view;
  await assert.rejects(wal.appendBatch(entries), refusal);
  assert.equal(wal.stats().accepted, 0);
  assert.equal(await wal.append('a'), 1);
});

test('code of the caller that runs inside a call may append, and may close the log', async (t) => {
  const wal = await freshLog(t);
  const inside: Promise<number>[] = [];
  const batch = withGetter(['a', 'b', 'c'], 1, () => {
    inside.push(wal.append('inside a batch'));
    return 'B';
  });
  const options = {
    get durable() {
      inside.push(wal.append('inside the options'));
      return true;
    },
  };
  assert.deepEqual(await wal.appendBatch(batch), { first: 2, last: 4 });
  assert.equal(await wal.append('d', options), 6);
  assert.deepEqual(await Promise.all(inside), [1, 5]);
  let closed: Promise<void> | undefined;
  const closing = {
    get durable() {
      closed ??= wal.close();
      return true;
    },
  };
  await assert.rejects(wal.append('e', closing), walError('ERR_WAL_CLOSED'));
  await closed;
});

test('a batch is refused whose elements close the log', async (t) => {
  const directory = temporaryLog(t);
  const wal = await openLog(t, directory);
  wal.tryAppend('kept');
  let closed: Promise<void> | undefined;
  const batch = withGetter(['a', 'b'], 1, () => {
    closed ??= wal.close();
    return 'B';
  });
  await assert.rejects(wal.appendBatch(batch), walError('ERR_WAL_CLOSED'));
  await closed;
  const again = await openLog(t, directory);
  assert.deepEqual(await texts(again.entries()), ['kept']);
});

// ── Options ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** An object with one property, whose getter gives each of `values` in turn; the count of reads. */
function turning(
  name: string,
  ...values: unknown[]
): { options: Record<string, unknown>; reads: () => number } {
  let reads = 0;
  const options = Object.defineProperty({}, name, {
    enumerable: true,
    get: () => values[Math.min(reads++, values.length - 1)],
  });
  return { options, reads: () => reads };
}

test('every option is read once', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ['a', 'b', 'c']);
  const once = async (name: string, good: unknown, call: (options: Record<string, unknown>) => unknown) => {
    const { options, reads } = turning(name, good, 'no longer');
    await call(options);
    assert.equal(reads(), 1, `${name} of ${call}`);
  };
  const open = async (options: WalOptions) => {
    const wal = await Wal.open(directory, options);
    await wal.close();
  };
  const wal = await openLog(t, temporaryLog(t));
  await wal.append('x', { durable: true });
  const { signal } = new AbortController();
  await once('durable', true, (options) => wal.append('x', options));
  await once('commit', 'group', (options) => wal.append('x', options));
  await once('durable', true, (options) => wal.appendBatch(['x'], options));
  await once('signal', signal, (options) => wal.sync(options));
  await once('signal', signal, (options) => wal.ready(1, options));
  await once('from', 1, (options) => collect(wal.entries(options)));
  await once('to', 1, (options) => collect(wal.entries(options)));
  await once('reverse', true, (options) => collect(wal.entries(options)));
  await once('signal', signal, (options) => collect(wal.entries(options)));
  await once('signal', signal, (options) => collect(wal.batches(options)));
  await once('from', 1, (options) => wal.follow(options).next());
  await once('ref', false, (options) => wal.follow(options).next());
  await once('onFull', 'drop', (options) => wal.createLogStream(options));
  await once('from', 1, (options) => first(Wal.follow(directory, options)));
  await once('signal', signal, (options) => first(Wal.follow(directory, options)));
  await once('workerUrl', undefined, (options) => Wal.verify(directory, options));
  await once(
    'onProgress',
    () => {},
    (options) => Wal.verify(directory, options),
  );
  await once('mode', 'salvage', (options) => Wal.repair(directory, options));
  await once('dryRun', true, (options) => Wal.repair(directory, options));
  await once('workerUrl', undefined, (options) => collect(Wal.readSegment(`${directory}/wal-0`, options)));
  for (const [name, value] of Object.entries({
    durable: true,
    maxFileSize: 65_536,
    maxFiles: 5,
    maxTotalSize: 2 ** 20,
    maxAge: 60_000,
    retainFrom: 'checkpoint',
    syncInterval: 100,
    commitDelay: 1,
    commit: 'interval',
    busyPoll: true,
    ringSize: SMALL_RING,
    maxLanes: 2,
    maxPending: 100,
    maxUnsettled: 100,
    maxEntrySize: 100,
    recovery: 'strict',
    preallocate: false,
    fileMode: 0o600,
    directoryMode: 0o700,
    readOnly: true,
    signal,
    onError: () => {},
  })) {
    await once(name, value, open);
  }
});

async function first<T>(items: AsyncIterableIterator<T>): Promise<void> {
  await items.next();
  await items.return?.();
}

test('options are those of the moment of the call', async (t) => {
  const directory = temporaryLog(t);
  await makeLog(directory, ['a', 'b', 'c']);
  const wal = await openLog(t, directory);
  const read = { from: 2, to: 2, reverse: false };
  const url = new URL(`file://${directory}/wal-0`);
  const [entries, backwards, batches, followed, segment] = [
    wal.entries(read),
    wal.entries({ ...read, reverse: true }),
    wal.batches(read),
    wal.follow(read.from === 2 ? { from: read.from } : {}),
    Wal.readSegment(url),
  ];
  Object.assign(read, { from: 0, to: 1, reverse: 'yes' });
  url.href = 'file:///nowhere';
  assert.deepEqual(await texts(entries), ['b']);
  assert.deepEqual(await texts(backwards), ['b']);
  assert.deepEqual((await collect(batches)).flat().length, 1);
  assert.equal((await followed.next()).value?.lsn, 2);
  assert.deepEqual(await texts(segment), ['a', 'b', 'c']);
});

test('options may have no prototype, come from a class, or inherit from other options', async (t) => {
  class Durable {
    get durable() {
      return true;
    }
  }
  const withoutPrototype: WalOptions = Object.assign(Object.create(null), { durable: true });
  const inherited = Object.create({ durable: true });
  for (const options of [withoutPrototype, new Durable(), inherited, Object.create(withoutPrototype)]) {
    const wal = await freshLog(t);
    await wal.append('x', options);
    assert.equal(wal.durableLsn, 1);
    const durable = await Wal.open(temporaryLog(t), options);
    await durable.append('x');
    assert.equal(durable.durableLsn, 1);
    await durable.close();
  }
  const wal = await freshLog(t);
  const misspelt = Object.create({ durabel: true });
  await assert.rejects(wal.append('x', misspelt), walError('ERR_WAL_OPTION', { message: /durabel/ }));
  await assert.rejects(
    Wal.open(temporaryLog(t), misspelt),
    walError('ERR_WAL_OPTION', { message: /durabel/ }),
  );
  const proto = JSON.parse('{ "__proto__": { "durable": true } }');
  await assert.rejects(
    Wal.open(temporaryLog(t), proto),
    walError('ERR_WAL_OPTION', { message: /__proto__/ }),
  );
  await assert.rejects(wal.append('x', proto), walError('ERR_WAL_OPTION', { message: /__proto__/ }));
});

test('what only stands for a signal is refused', async (t) => {
  const wal = await freshLog(t);
  const doubles: unknown[] = [
    Object.create(AbortSignal.prototype),
    { aborted: true },
    { aborted: 'yes', addEventListener() {}, removeEventListener() {}, throwIfAborted() {} },
  ];
  for (const double of doubles) {
    const options = { signal: double as AbortSignal };
    await assert.rejects(wal.sync(options), refusal);
    await assert.rejects(wal.ready(1, options), refusal);
    await assert.rejects(collect(wal.entries(options)), refusal);
    await assert.rejects(collect(wal.entries({ ...options, reverse: true })), refusal);
    await assert.rejects(wal.follow(options).next(), refusal);
    await assert.rejects(Wal.follow(temporaryLog(t), options).next(), refusal);
    await assert.rejects(Wal.open(temporaryLog(t), options), refusal);
  }
});

test('a Proxy around a signal works, or is refused, as Node has it', async (t) => {
  const wal = await freshLog(t);
  for (const make of [(signal: AbortSignal) => new Proxy(signal, {}), Object.create]) {
    const controller = new AbortController();
    const signal: AbortSignal = make(controller.signal);
    const synced = await wal.sync({ signal }).catch((error: unknown) => error);
    if (synced !== 0) refusal(synced);
    controller.abort(new Error('given up'));
    const aborted: unknown = await wal.sync({ signal }).catch((error: unknown) => error);
    if (synced !== 0) refusal(aborted);
    else assert.equal(aborted, controller.signal.reason);
  }
});

test("a signal of another class than Node's does what a signal does", async (t) => {
  const wal = await freshLog(t);
  await wal.append('a', { durable: true });
  class OtherSignal extends EventTarget {
    aborted = false;
    reason: unknown;
    throwIfAborted(): void {
      if (this.aborted) throw this.reason;
    }
    abort(reason: unknown): void {
      this.aborted = true;
      this.reason = reason;
      this.dispatchEvent(new Event('abort'));
    }
  }
  const other = new OtherSignal();
  const signal = other as unknown as AbortSignal;
  assert.equal(await wal.sync({ signal }), 1);
  assert.deepEqual(await texts(wal.entries({ signal })), ['a']);
  const follower = wal.follow({ signal });
  assert.equal((await follower.next()).value?.lsn, 1);
  const waiting = follower.next();
  const reason = new Error('given up');
  other.abort(reason);
  await assert.rejects(waiting, reason);
  await assert.rejects(wal.sync({ signal }), reason);
  await assert.rejects(Wal.open(temporaryLog(t), { signal }), reason);
});

test('an encoder that takes the memory of its view away, or gives the view another length, harms nothing', async (t) => {
  const wal = await freshLog(t, { ringSize: SMALL_RING });
  const large = SMALL_RING;
  const takeAway = (view: Buffer) => {
    detached(view);
    return 0;
  };
  assert.throws(() => wal.tryEncode(large, takeAway), refusal);
  for (const maxLength of [10, large]) {
    const lengthen = (view: Buffer) => {
      Object.defineProperty(view, 'length', { value: 2 * maxLength });
      return maxLength + 1;
    };
    assert.throws(() => wal.tryEncode(maxLength, lengthen), refusal);
  }
  assert.equal(wal.stats().accepted, 0);
  assert.ok(wal.tryEncode(10, (view) => view.write('works on')));
  await wal.sync();
  assert.deepEqual(await texts(wal.entries()), ['works on']);
});

test('what is no attachment is refused, whatever it looks like', async () => {
  const { port1, port2 } = new MessageChannel();
  const { port1: port3 } = new MessageChannel();
  const looks: unknown[] = [
    undefined,
    null,
    5,
    {},
    { ringwal: null },
    { ringwal: { version: 1, writerPort: port1 } },
    { ringwal: { version: 1, writerPort: port1, syncPort: port2 } },
    { ringwal: { version: 1, writerPort: port1, syncPort: port2, lifePort: port3 } },
  ];
  for (const look of looks) await assert.rejects(Wal.attach(look as WalAttachment), refusal);
  for (const port of [port1, port2, port3]) port.close();
});

import assert from 'node:assert/strict';
import { BroadcastChannel } from 'node:worker_threads';
import { FakeReplicaEngine, type Replica, type ReplicaAdapter } from '#ringwal/testing';
import { createFrame } from '../../../src/format/frame.js';
import { parseFrame } from '../../../src/format/frame-parser.js';
import { cleanUp } from '../../cleanup.js';

type Test = Parameters<typeof cleanUp>[0];
type Call = { from: string; call: number; method: keyof Replica; args: unknown[] };

let hosted = 0;

/** A fake engine in this thread, and the adapter by which the threads of logs reach it. */
export class HostedEngine {
  readonly engine = new FakeReplicaEngine();
  readonly adapter: ReplicaAdapter;
  /** Requests stay unanswered, and are not carried out, while this is set: the link is cut. */
  isCut = false;
  /** Names of the methods that were called. */
  readonly calls: string[] = [];
  readonly #connections = new Map<string, Replica>();

  constructor(t: Test) {
    const name = `ringwal-test-engine-${process.pid}-${hosted++}`;
    const channel = new BroadcastChannel(name);
    channel.onmessage = (event) => void this.#answer(channel, (event as { data: Call }).data);
    (channel as unknown as { unref(): void }).unref();
    cleanUp(t, () => channel.close());
    const limits = { maxBatch: 65_536, window: 1 };
    this.adapter = {
      module: new URL('./proxy-adapter.mjs', import.meta.url).href,
      options: { channel: name, limits },
    };
  }

  /** The texts of the entries that the only log holds. */
  get texts(): string[] {
    const [log] = this.engine.logs();
    const { batches = [] } = log === undefined ? {} : (this.engine.log(log.logId) ?? {});
    return batches.flatMap(({ data }) => textsOf(data));
  }

  async #answer(channel: BroadcastChannel, { from, call, method, args }: Call): Promise<void> {
    this.calls.push(method);
    if (this.isCut) return;
    let replica = this.#connections.get(from);
    if (replica === undefined) {
      replica = this.engine.connect();
      this.#connections.set(from, replica);
    }
    try {
      const value = await this.#call(replica, method, args);
      channel.postMessage({ to: from, call, value });
    } catch (error) {
      const { message, code } = error as { message: string; code?: string };
      channel.postMessage({ to: from, call, error: { message, code } });
    }
  }

  async #call(replica: Replica, method: keyof Replica, args: unknown[]): Promise<unknown> {
    if (method === 'read') {
      const batches: unknown[] = [];
      for await (const batch of replica.read(args[0] as number, new AbortController().signal))
        batches.push(batch);
      return batches;
    }
    return (replica[method] as (...all: unknown[]) => unknown)(
      ...args,
      ...(method === 'append' ? [new AbortController().signal] : []),
    );
  }
}

/** Short texts without fields 5 and 7: enough for what these tests ship. */
function textsOf(data: Uint8Array): string[] {
  const texts: string[] = [];
  const frame = createFrame();
  for (let at = 0; at < data.length; at += frame.byteLength) {
    assert.equal(parseFrame(data, at, data.length, frame), undefined);
    texts.push(Buffer.from(data.subarray(frame.dataStart, frame.dataEnd)).toString());
  }
  return texts;
}

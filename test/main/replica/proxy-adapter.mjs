// An adapter whose engine is in another thread: `hosted-engine.ts` answers on a channel.
import { BroadcastChannel } from 'node:worker_threads';

let connections = 0;

export function connect({ channel: name, limits }, { timeoutMs }) {
  const channel = new BroadcastChannel(name);
  const id = `${process.pid}-${Math.random()}-${connections++}`;
  const pending = new Map();
  let calls = 0;
  channel.onmessage = ({ data }) => {
    if (data.to !== id) return;
    const call = pending.get(data.call);
    pending.delete(data.call);
    if (data.error === undefined) call?.resolve(data.value);
    else call?.reject(Object.assign(new Error(data.error.message), { code: data.error.code }));
  };
  const ask = (method, args, signal) =>
    new Promise((resolve, reject) => {
      const call = ++calls;
      const timer = setTimeout(() => reject(new Error('no answer')), timeoutMs);
      pending.set(call, {
        resolve: (value) => {
          clearTimeout(timer);
          resolve(value);
        },
        reject,
      });
      signal?.addEventListener('abort', () => reject(new Error('given up')), { once: true });
      channel.postMessage({ from: id, call, method, args });
    });
  return {
    limits,
    logs: () => ask('logs', []),
    select: (logId) => ask('select', [logId]),
    acquire: (...args) => ask('acquire', args),
    append: (batch, signal) => ask('append', [batch], signal),
    settle: (epoch) => ask('settle', [epoch]),
    async *read(from, signal) {
      yield* await ask('read', [from], signal);
    },
    cut: (...args) => ask('cut', args),
    trim: (...args) => ask('trim', args),
    close: async () => {
      for (const { reject } of pending.values()) reject(new Error('closed'));
      channel.close();
    },
  };
}

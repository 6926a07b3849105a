/** Programs that put something into `Object.prototype`, as old libraries do: every call works as ever. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runChild, temporaryLog } from '../support.js';

const USE_EVERYTHING = `
  import { once } from 'node:events';
  import { Wal } from '#ringwal';
  const [directory, ...names] = process.argv.slice(1);
  const collect = async (items) => {
    const found = [];
    for await (const item of items) found.push(item);
    return found;
  };
  // Jobs load a package that no such program could load.
  await (await Wal.open(directory + '-before')).close();
  await Wal.verify(directory + '-before');
  for (const name of names) {
    const value = name === 'extra' ? () => {} : 'not an option';
    Object.defineProperty(Object.prototype, name, { value, enumerable: true, configurable: true, writable: true });
  }
  Object.defineProperty(Array.prototype, 'extra', { value: 1, enumerable: true, configurable: true });
  const failed = [];
  const use = async (what, call) => {
    try {
      await call();
    } catch (error) {
      failed.push(what + ': ' + error);
    }
  };
  for (const options of [undefined, {}, Object.create(null), { maxFiles: 5, durable: false }])
    await use('open', async () => (await Wal.open(directory, options)).close());
  const wal = await Wal.open(directory, { ringSize: 65536 });
  for (const options of [undefined, {}, Object.create(null), { durable: true, commit: 'group' }]) {
    await use('append', () => wal.append('a', options));
    await use('appendBatch', () => wal.appendBatch(['a', Buffer.from('b')], options));
    await use('large append', () => wal.append('a'.repeat(100_000), options));
    await use('large appendBatch', () => wal.appendBatch(['a'.repeat(100_000), 'b'], options));
  }
  await use('tryAppend', () => wal.tryAppend('a'));
  await use('tryEncode', () => wal.tryEncode(5, (view) => view.write('abc')));
  await use('overrun', () => Promise.all(Array.from({ length: 2000 }, () => wal.append('a'.repeat(100)))));
  await use('flushSync', () => wal.flushSync());
  const { signal } = new AbortController();
  for (const options of [undefined, {}, Object.create(null), { signal }]) {
    await use('ready', () => wal.ready(1, options));
    await use('sync', () => wal.sync(options));
    await use('entries', () => collect(wal.entries(options)));
    await use('batches', () => collect(wal.batches(options)));
    await use('follow', async () => {
      for await (const entry of wal.follow(options)) break;
    });
    await use('Wal.follow', async () => {
      for await (const entry of Wal.follow(directory, options)) break;
    });
  }
  await use('reverse', () => collect(wal.entries({ from: 2, to: 5, reverse: true })));
  await use('get', () => wal.get(1));
  await use('createLogStream', async () => {
    const stream = wal.createLogStream({});
    stream.write('a line\\n');
    stream.end();
    await once(stream, 'finish');
  });
  await use('checkpoint', () => wal.checkpoint(1));
  await use('truncateAfter', () => wal.truncateAfter(3));
  await use('truncateBefore', () => wal.truncateBefore(1));
  await use('stats', () => [wal.stats(), wal.segments(), wal.recovery]);
  await use('attach', async () => {
    const lane = await Wal.attach(wal.attachment());
    await lane.append('a', {});
    lane.stats();
    await lane.close();
  });
  await use('read only', async () => {
    const reader = await Wal.open(directory, { readOnly: true });
    await collect(reader.entries({}));
    await reader.close();
  });
  await use('readSegment', () => collect(Wal.readSegment(directory + '/wal-0', {})));
  await use('verify', () => Wal.verify(directory, { onProgress() {} }));
  await use('close', () => wal.close());
  await use('repair', () => Wal.repair(directory, { mode: 'salvage' }));
  for (const name of names) delete Object.prototype[name];
  delete Array.prototype.extra;
  console.log(failed.join('\\n') || 'all works');`;

// Not those that stop Node itself, which cannot start a thread then: signal, path, transferList, env.
for (const names of [
  ['extra'],
  [
    'durable',
    'commit',
    'from',
    'to',
    'reverse',
    'ref',
    'workerUrl',
    'onProgress',
    'mode',
    'dryRun',
    'onFull',
  ],
  [
    'maxFileSize',
    'maxFiles',
    'maxAge',
    'ringSize',
    'fileMode',
    'readOnly',
    'retainFrom',
    'recovery',
    'onError',
  ],
  [
    'bytes',
    'entries',
    'charged',
    'wants',
    'queued',
    'transfer',
    'count',
    'lsn',
    'number',
    'position',
    'kind',
  ],
  ['failure', 'fault', 'walks', 'logId', 'pendingCut', 'cause', 'offset', 'length', 'firstLsn', 'lastLsn'],
]) {
  test(`every call works with these in Object.prototype: ${names.join(', ')}`, async (t) => {
    const ended = await runChild(t, USE_EVERYTHING, [temporaryLog(t), ...names]);
    assert.equal(ended.stdout, 'all works\n', ended.stderr);
  });
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Level } from '../support/lane-client.js';
import { TestLog } from '../support/test-log.js';

test('truncateBefore that cannot remove a file rejects, and the log goes on without a hole', () => {
  const log = filledLog();
  log.disk.failNext('unlink', 'EPERM', { path: 'wal-0' });
  const id = log.lane.command('truncateBefore', 4);
  log.run();
  assert.equal(log.lane.all('command-rejected')[0]?.id, id);
  assert.equal(log.lane.all('failed').length, 0);
  assert.deepEqual(log.segments, [0, 1, 2, 3]);
  log.lane.command('truncateBefore', 4);
  log.run();
  assert.deepEqual(log.segments, [3]);
  log.close();
});

test('truncateAfter that finds no room leaves the log, its checkpoint too, as it was', () => {
  const log = filledLog();
  log.lane.command('checkpoint', 3);
  log.run();
  log.disk.failNext('write', 'ENOSPC', { path: 'ringwal.state.aside' });
  const id = log.lane.command('truncateAfter', 2);
  log.run();
  const [rejection] = log.lane.all('command-rejected');
  assert.equal(rejection?.id, id);
  assert.equal(rejection?.failure.cause?.code, 'ENOSPC');
  assert.equal(log.frames.length, 4);
  assert.deepEqual(log.segments, [0, 1, 2, 3]);
  log.lane.append('next');
  log.close();
  assert.equal(log.state?.checkpoint, 3);
});

test('truncateAfter makes room for new entries with the LSNs that were cut', () => {
  const log = filledLog();
  log.lane.command('truncateAfter', 2);
  const sequence = log.lane.append('new', Level.durable);
  log.run();
  assert.equal(log.lane.acknowledged('durable').get(sequence), 3);
  assert.deepEqual(
    log.frames.map(({ lsn }) => lsn),
    [1, 2, 3],
  );
  log.close();
  assert.equal(new TestLog({ disk: log.disk }).recovered.report.verdict, 'clean');
});

test('a sync that was asked for before truncateAfter is answered, though the cut takes the entries that it covers', () => {
  const log = filledLog();
  log.syncer.isPrompt = false;
  log.lane.append('cut');
  const id = log.lane.sync();
  log.run();
  assert.deepEqual(log.lane.all('synced'), [], 'the sync is under way');
  log.lane.command('truncateAfter', 2);
  log.run();
  log.lane.hear();
  const [answer, done] = log.lane.heard.filter(({ kind }) => kind === 'synced' || kind === 'command-done');
  assert.deepEqual(answer, { kind: 'synced', id, watermark: 5 });
  assert.equal(done?.kind, 'command-done');
  log.close();
});

for (const code of ['ENOSPC', 'EMFILE', 'EIO']) {
  test(`a truncateAfter of which any one operation fails with ${code} leaves a log without a gap`, () => {
    for (let at = 0; ; at++) {
      const log = filledLog();
      const failing = log.disk.counts.operations + at;
      log.disk.onOperation(({ index }) => (index === failing ? { code } : undefined));
      log.lane.command('truncateAfter', 2);
      log.run();
      const isOver = log.disk.counts.operations <= failing;
      log.disk.onOperation(undefined);
      log.lane.append('next');
      log.close();
      const after = new TestLog({ disk: log.disk });
      assert.equal(after.recovered.report.verdict, 'clean', `operation ${at}`);
      after.frames.forEach(({ lsn }, index) => {
        assert.equal(lsn, index + 1, `operation ${at}`);
      });
      if (isOver) return;
    }
  });
}

test('a writer that a command has spared the state file sleeps', () => {
  const log = new TestLog();
  log.syncer.isPrompt = true;
  log.lane.append('a', Level.durable);
  log.run();
  log.lane.command('checkpoint', 1);
  log.run();
  log.sleep(10 * log.options.syncInterval);
  log.close();
});

/** Four entries, a segment for each. */
function filledLog(): TestLog {
  const log = new TestLog({ options: { maxFileSize: 100 } });
  log.syncer.isPrompt = true;
  for (let at = 0; at < 4; at++) log.lane.append(new Uint8Array(90));
  log.run();
  return log;
}

test('a cut that finds no room tells of that, though what it had copied cannot be removed either', () => {
  const log = new TestLog();
  for (let at = 0; at < 3; at++) log.lane.append('entry', Level.durable);
  log.run();
  log.finishSync();
  log.disk.failNext('write', 'ENOSPC', { path: 'ringwal.state.aside' });
  log.disk.onOperation(({ kind, path }) =>
    kind === 'unlink' && path.includes('ringwal.cut-') ? { code: 'EPERM' } : undefined,
  );
  log.lane.command('truncateAfter', 1);
  log.run();
  const [rejection] = log.lane.all('command-rejected');
  assert.equal(rejection?.failure.cause?.code, 'ENOSPC');
  log.disk.onOperation(undefined);
  log.lane.append('next', Level.durable);
  log.run();
  assert.equal(log.frames.at(-1)?.lsn, 4);
  log.close();
});

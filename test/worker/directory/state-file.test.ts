import assert from 'node:assert/strict';
import { test } from 'node:test';
import { emptyState } from '../../../src/format/state-file.js';
import { Level } from '../support/lane-client.js';
import { newDisk, TestLog } from '../support/test-log.js';

test('the state file is there before the first append', () => {
  const log = new TestLog();
  assert.equal(log.state?.watermark, 0);
  assert.notEqual(log.state?.logId, undefined);
  log.disk.powerCut();
  const again = new TestLog({ disk: log.disk });
  assert.equal(again.state?.logId, log.recovered.start.logId);
});

test('it is written once when an interval passes after a sync with nothing new', () => {
  const log = new TestLog();
  log.lane.append('a', Level.durable);
  log.run();
  log.finishSync();
  assert.equal(log.state?.watermark, 0);
  log.syncer.isPrompt = true;
  log.sleep(log.options.syncInterval + 1);
  assert.equal(log.state?.watermark, 1);
  const { operations } = log.disk.counts;
  log.sleep(50 * log.options.syncInterval);
  assert.equal(log.disk.counts.operations, operations);
  log.close();
});

test('it is not written while entries keep coming', () => {
  const log = new TestLog();
  log.syncer.isPrompt = true;
  for (let at = 0; at < 10; at++) {
    log.lane.append('a', Level.durable);
    log.run();
    log.sleep(log.options.syncInterval / 2);
  }
  assert.equal(log.state?.watermark, 0);
  log.close();
});

test('it is written at a rotation, with no more than what is durable', () => {
  const log = new TestLog({ options: { maxFileSize: 100 } });
  log.lane.append(new Uint8Array(90));
  log.lane.append(new Uint8Array(90), Level.durable);
  log.run();
  assert.equal(log.state?.watermark, 0);
  log.finishSync();
  assert.equal(log.state?.watermark, 2);
  log.close();
});

test('it is written at close', () => {
  const log = new TestLog();
  log.lane.append('a');
  log.close();
  assert.equal(log.state?.watermark, 1);
});

test('the last group before an idle time is known to have been acknowledged: its rot is corruption', () => {
  const log = new TestLog();
  log.lane.append('acknowledged', Level.durable);
  log.run();
  log.finishSync();
  log.syncer.isPrompt = true;
  log.sleep(log.options.syncInterval + 1);
  log.disk.powerCut();
  log.disk.rot(`${log.options.directory}/wal-0`, 10);
  assert.throws(() => new TestLog({ disk: log.disk }), /acknowledged as durable/);
});

test('without a state file the log opens, and has one again', () => {
  const disk = newDisk();
  const log = new TestLog({ disk });
  log.lane.append('a');
  log.close();
  disk.unlink(`${log.options.directory}/ringwal.state`);
  const again = new TestLog({ disk });
  assert.deepEqual(again.texts, ['a']);
  assert.equal(again.state?.watermark, 1);
  assert.equal(again.state?.logId, log.state?.logId);
  again.close();
});

test('the state file of another log is replaced', () => {
  const disk = newDisk();
  const log = new TestLog({ disk });
  log.lane.append('a');
  log.close();
  const { logId, state } = log.recovered.start;
  const other = new TestLog({ disk: newDisk(2) });
  for (let at = 0; at < 5; at++) other.lane.append('b');
  other.close();
  disk.plant(`${log.options.directory}/ringwal.state`, other.files.contents('ringwal.state'));
  const again = new TestLog({ disk });
  assert.equal(again.recovered.report.verdict, 'clean');
  const branch = again.state?.branch ?? 0n;
  assert.deepEqual({ ...again.state }, { ...emptyState(logId), branch, watermark: 1 });
  assert.notEqual(branch, state.branch, 'the state file that is gone may have told of a cut');
  again.close();
});

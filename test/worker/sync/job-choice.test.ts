import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type CommitJob, type CommitView, chooseJob } from '../../../src/worker/sync/job-choice.js';

/** Every state that there is: 3 x 2^9 views. */
function* allViews(): Generator<CommitView> {
  for (const syncThread of ['free', 'filling', 'working'] as const) {
    for (let bits = 0; bits < 512; bits++) {
      const bit = (at: number) => ((bits >> at) & 1) === 1;
      yield {
        syncThread,
        isRecoveryPostponed: bit(0),
        isForced: bit(1),
        isUnsynced: bit(2),
        isSyncDue: bit(3),
        isAwaited: bit(4),
        isQuick: bit(5),
        isHousekeepingDue: bit(6),
        isStatsDue: bit(7),
        isFillingDue: bit(8),
      };
    }
  }
}

function assertInAllViews(isWrong: (view: CommitView, job: CommitJob) => boolean): void {
  for (const view of allViews()) {
    const job = chooseJob(view);
    assert.ok(!isWrong(view, job), `${job} where ${JSON.stringify(view)}`);
  }
}

const SYNCS: readonly CommitJob[] = ['sync-here', 'fill-and-sync-here', 'sync'];
/** What the sync thread is needed for. */
const JOBS_OF_THE_THREAD: readonly CommitJob[] = [
  'fill-and-sync-here',
  'sync',
  'keep-house',
  'publish',
  'fill',
];

test('the sync thread is never given a second job', () => {
  assertInAllViews(({ syncThread }, job) => syncThread !== 'free' && JOBS_OF_THE_THREAD.includes(job));
});

test('nothing is synced while a job is under way that a sync would have to wait for', () => {
  assertInAllViews(({ syncThread }, job) => syncThread === 'working' && job !== 'nothing');
});

test('before recovery has come to its end nothing but that is done, and only when somebody waits for it', () => {
  assertInAllViews(
    ({ isRecoveryPostponed, isForced }, job) =>
      isRecoveryPostponed && job !== 'nothing' && !(job === 'recover' && isForced),
  );
  assertInAllViews(({ isRecoveryPostponed }, job) => job === 'recover' && !isRecoveryPostponed);
});

test('what is written is synced as soon as it is due and the sync thread does not hinder it', () => {
  assertInAllViews(
    ({ syncThread, isRecoveryPostponed, isUnsynced, isForced, isSyncDue }, job) =>
      SYNCS.includes(job) !==
      (syncThread !== 'working' && !isRecoveryPostponed && isUnsynced && (isForced || isSyncDue)),
  );
});

test('the writer thread syncs itself where that is quicker for somebody who waits, or the sync thread is filling', () => {
  assertInAllViews(
    ({ syncThread, isAwaited, isQuick }, job) =>
      job === 'sync-here' && syncThread !== 'filling' && !(isAwaited && isQuick),
  );
});

test('housekeeping is not done alone before everything is durable', () => {
  assertInAllViews(({ isUnsynced }, job) => job === 'keep-house' && isUnsynced);
});

test('what is due is done in the end: no view waits for ever with a free sync thread', () => {
  assertInAllViews((view, job) => {
    const { syncThread, isRecoveryPostponed, isUnsynced, isHousekeepingDue, isStatsDue, isFillingDue } = view;
    const isSomethingDue = (!isUnsynced && isHousekeepingDue) || isStatsDue || isFillingDue;
    return syncThread === 'free' && !isRecoveryPostponed && isSomethingDue && job === 'nothing';
  });
});

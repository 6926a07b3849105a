/**
 * Real ends of real processes and threads at random moments. What the next open finds must be a gapless run of what was
 * appended, with every entry that was acknowledged, at once and without a lock in the way.
 *
 * A few rounds of each; RINGWAL_ROUNDS makes them as many as one has time for (docs/testing.md).
 */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { Worker } from 'node:worker_threads';
import type { Wal, WalOptions } from '#ringwal';
import { SEED } from '../../seed.js';
import { Child, openLog, randomSource, SMALL_RING, temporaryLog, text, walError } from '../support.js';

/** Small segments of which only the newest are kept: rotation, retention and the end meet, and no round is slower than the one before. */
const OPTIONS: WalOptions = { ringSize: SMALL_RING, maxFileSize: 20_000, maxFiles: 6 };

/** Entry n is the same in every round; some travel beside the ring, and are longer than a segment. */
const ENTRY =
  "(lsn) => 'entry ' + lsn + ' ' + String.fromCharCode(97 + lsn % 26).repeat(lsn % 50 === 0 ? 30000 : lsn % 97)";
const entry = new Function(`return ${ENTRY}`)() as (lsn: number) => string;

/**
 * Appends in every way, says each LSN as soon as it is acknowledged, and comes to its end, if it makes one itself,
 * after so many appends.
 */
const APPENDER = `
  import { Wal } from '#ringwal';
  import { writeSync } from 'node:fs';
  const [directory, options, end, after] = process.argv.slice(1);
  const wal = await Wal.open(directory, JSON.parse(options));
  const entry = ${ENTRY};
  let lsn = wal.lastLsn;
  let left = Number(after);
  const ends = {
    exit: () => process.exit(7),
    abort: () => process.abort(),
    throw: () => setImmediate(() => { writeSync(1, 'accepted ' + lsn + '\\n'); throw new Error('uncaught'); }),
    reject: () => { Promise.reject(new Error('unhandled')); },
    hoard: () => { for (const hoard = []; ; ) hoard.push(new Array(1000).fill(hoard.length / 2)); },
    kill: () => {},
  };
  const take = () => {
    lsn += 1;
    left -= 1;
    return lsn;
  };
  process.on('exit', () => writeSync(1, 'accepted ' + lsn + '\\n'));
  writeSync(1, 'from ' + lsn + '\\n');
  const acknowledge = (found, expected) => {
    if (found !== expected) throw new Error(found + ' in place of ' + expected);
    writeSync(1, found + '\\n');
  };
  for (;;) {
    const pending = [];
    for (let i = 0; i < 5; i++) {
      const mine = take();
      pending.push(wal.append(entry(mine), { durable: mine % 3 !== 0 }).then((found) => acknowledge(found, mine)));
      if (left === 0) ends[end]();
    }
    if (lsn % 4 === 0) {
      const first = take();
      take();
      const last = take();
      pending.push(wal.appendBatch([first, first + 1, last].map(entry), { durable: true })
        .then((found) => acknowledge(found.last, last)));
    }
    while (lsn % 7 !== 0 && wal.tryAppend(entry(lsn + 1))) take();
    if (left <= 0) ends[end]();
    await Promise.all(pending);
  }
`;

const random = randomSource(SEED);

interface End {
  readonly how: string;
  readonly name: string;
  readonly rounds: number;
  /** The process sees to it that everything accepted is durable. */
  readonly isOrderly?: boolean;
  readonly env?: Record<string, string>;
  /** Exit codes and signals by which one knows that it was this end. */
  readonly by: readonly (number | string)[];
}

const ENDS: readonly End[] = [
  { how: 'is killed', name: 'kill', rounds: 6, by: ['SIGKILL'] },
  { how: 'aborts', name: 'abort', rounds: 2, by: ['SIGABRT'] },
  {
    how: 'runs out of memory',
    name: 'hoard',
    rounds: 1,
    env: { NODE_OPTIONS: '--max-old-space-size=24' },
    by: ['SIGABRT', 'SIGTRAP', 'SIGILL', 134],
  },
  { how: 'calls process.exit()', name: 'exit', rounds: 2, isOrderly: true, by: [7] },
  { how: 'throws what nobody catches', name: 'throw', rounds: 2, isOrderly: true, by: [1] },
  { how: 'rejects what nobody handles', name: 'reject', rounds: 1, isOrderly: true, by: [1] },
];

for (const { how, name, rounds, isOrderly = false, env = {}, by } of ENDS) {
  const times = roundsOf(rounds);
  test(`a process that ${how} leaves every acknowledged entry and no lock, ${times} times (seed ${SEED})`, async (t) => {
    const directory = temporaryLog(t);
    for (let round = 0; round < times; round++) {
      const args = [directory, JSON.stringify(OPTIONS), name, String(1 + random(300))];
      const child = new Child(t, APPENDER, args, env);
      await child.says('from ');
      if (name === 'kill') await killSoon(child);
      // Resolves only when nobody has its output open any more: no process is left behind.
      const { stdout, stderr, code, signal } = await child.ended;
      assert.ok(by.includes(signal ?? code ?? -1), `round ${round}: ${signal ?? code}: ${stderr}`);
      // The last line may be torn itself: only whole ones count.
      const lines = stdout.slice(0, stdout.lastIndexOf('\n')).split('\n').slice(1);
      const acknowledged = Math.max(0, ...lines.map(Number).filter(Number.isInteger));
      const accepted = Number(/accepted (\d+)/.exec(stdout)?.[1] ?? 0);
      const lastLsn = await lastOf(t, directory, `round ${round}`);
      assert.ok(lastLsn >= acknowledged, `round ${round}: ${lastLsn} < ${acknowledged}`);
      if (isOrderly) assert.equal(lastLsn, accepted, `round ${round}`);
    }
  });
}

const TERMINATIONS = roundsOf(6);

test(`when a thread of the log is terminated whoever waits is told, and the log opens again with every acknowledged entry, ${TERMINATIONS} times (seed ${SEED})`, async (t) => {
  const directory = temporaryLog(t);
  const died = walError('ERR_WAL_WORKER_DIED');
  for (let round = 0; round < TERMINATIONS; round++) {
    const threads: Worker[] = [];
    const note = (thread: Worker) => threads.push(thread);
    process.on('worker', note);
    const wal = await openLog(t, directory, { ...OPTIONS, onError: died });
    process.off('worker', note);
    assert.equal(threads.length, 2);
    const acknowledged = await appendUntilDeath(wal, threads[random(2)] as Worker, died);
    // Whether it is the first to tell of it is a matter of what was in flight.
    await wal.close().catch(died);
    const lastLsn = await lastOf(t, directory, `round ${round}`);
    assert.ok(lastLsn >= acknowledged, `round ${round}: ${lastLsn} < ${acknowledged}`);
  }
});

/** Answers the last LSN that was acknowledged. */
async function appendUntilDeath(wal: Wal, thread: Worker, died: (error: unknown) => true): Promise<number> {
  let lsn = wal.lastLsn;
  let acknowledged = 0;
  let terminated: Promise<number> | undefined;
  const pending: Promise<void>[] = [];
  let isDead = false;
  const until = random(40);
  for (let turns = 0; !isDead; turns++) {
    if (turns === until) terminated = thread.terminate();
    for (let i = random(8); i > 0; i--) {
      const mine = ++lsn;
      pending.push(
        wal.append(entry(mine), { durable: mine % 3 !== 0 }).then(
          (found) => {
            assert.equal(found, mine);
            acknowledged = Math.max(acknowledged, mine);
          },
          (error) => {
            died(error);
            isDead = true;
          },
        ),
      );
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  await terminated;
  await Promise.all(pending);
  return acknowledged;
}

/** So many bytes of acknowledgements, then some more time that nobody has measured. */
async function killSoon(child: Child): Promise<void> {
  const bytes = random(3000);
  while (child.stdout.length < bytes && child.process.exitCode === null) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  for (let turns = random(50); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
  child.process.kill('SIGKILL');
}

/** Opens the log, compares everything in it, closes it. */
async function lastOf(t: TestContext, directory: string, round: string): Promise<number> {
  // Without retention, which would go on with what the dead process had begun while the log is read.
  const wal = await openLog(t, directory, { ...OPTIONS, maxFiles: Number.POSITIVE_INFINITY });
  assert.ok(['clean', 'torn'].includes(wal.recovery.verdict), round);
  const { lastLsn } = wal;
  let next = Math.max(1, wal.firstLsn);
  for await (const { lsn, data } of wal.entries()) {
    if (lsn !== next || text(data) !== entry(lsn)) assert.fail(`${round}: entry ${lsn} in place of ${next}`);
    next += 1;
  }
  assert.equal(next, lastLsn + 1, round);
  await wal.close();
  return lastLsn;
}

function roundsOf(few: number): number {
  return Number(process.env.RINGWAL_ROUNDS ?? few);
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Child, openLog, randomSource, SEED, temporaryLog, text } from './support.js';

const ROUNDS = 15;

/** Entry n of round r; long ones travel beside the ring. */
const APPENDER = `
  import { Wal } from '#ringwal';
  import { writeSync } from 'node:fs';
  const [directory, round] = process.argv.slice(1);
  const wal = await Wal.open(directory, { ringSize: 65536, maxFileSize: 20000 });
  const entry = (lsn) => 'entry ' + lsn + ' ' + String.fromCharCode(97 + lsn % 26).repeat(lsn % 50 === 0 ? 30000 : lsn % 97);
  let lsn = wal.lastLsn;
  writeSync(1, 'from ' + lsn + '\\n');
  const acknowledge = (found, expected) => {
    if (found !== expected) throw new Error(found + ' in place of ' + expected);
    writeSync(1, found + '\\n');
  };
  for (;;) {
    const pending = [];
    for (let i = 0; i < 5; i++) {
      const mine = ++lsn;
      pending.push(wal.append(entry(mine), { durable: mine % 3 !== 0 }).then((found) => acknowledge(found, mine)));
    }
    if (lsn % 4 === 0) {
      const first = lsn + 1;
      lsn += 3;
      pending.push(wal.appendBatch([entry(first), entry(first + 1), entry(first + 2)], { durable: true })
        .then(({ last }) => acknowledge(last, first + 2)));
    }
    await Promise.all(pending);
  }
`;

const entry = (lsn: number) =>
  `entry ${lsn} ${String.fromCharCode(97 + (lsn % 26)).repeat(lsn % 50 === 0 ? 30_000 : lsn % 97)}`;

test(`a log whose process is killed is a gapless prefix with every acknowledged entry, ${ROUNDS} times (seed ${SEED})`, async (t) => {
  const random = randomSource(SEED);
  const directory = temporaryLog(t);
  for (let round = 0; round < ROUNDS; round++) {
    const child = new Child(t, APPENDER, [directory, String(round)]);
    await child.says('from ');
    // So many bytes of acknowledgements, then some more that nobody has counted.
    const bytes = random(3000);
    while (child.stdout.length < bytes && child.process.exitCode === null) {
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    for (let turns = random(50); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
    child.process.kill('SIGKILL');
    const { stdout, stderr, signal } = await child.ended;
    assert.equal(signal, 'SIGKILL', `round ${round}: ${stderr}`);
    // The last line may be torn itself: only whole ones count.
    const lines = stdout.slice(0, stdout.lastIndexOf('\n')).split('\n').slice(1);
    const acknowledged = Math.max(0, ...lines.map(Number));

    const wal = await openLog(t, directory, { ringSize: 65_536, maxFileSize: 20_000 });
    assert.ok(['clean', 'torn'].includes(wal.recovery.verdict));
    assert.ok(wal.lastLsn >= acknowledged, `round ${round}: ${wal.lastLsn} < ${acknowledged}`);
    let next = 1;
    for await (const { lsn, data } of wal.entries()) {
      if (lsn !== next || text(data) !== entry(lsn))
        assert.fail(`round ${round}: entry ${lsn} in place of ${next}`);
      next += 1;
    }
    assert.equal(next, wal.lastLsn + 1);
    await wal.close();
  }
});

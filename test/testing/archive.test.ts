/** The option `archive` and named checkpoints on a simulated machine. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { WalError } from '#ringwal';
import { SimulatedMachine } from '#ringwal/testing';
import { SEED, seededTest } from '../seed.js';

const HOUR_MS = 3_600_000;

test('an archiver that fails for hours is asked at most once a minute and told of each time, the log goes on, and all is archived in the end', async () => {
  const machine = new SimulatedMachine({ seed: SEED });
  const errors: WalError[] = [];
  const archived: number[] = [];
  let isDown = true;
  const wal = await machine.open('./log', {
    maxFileSize: 4096,
    maxFiles: 2,
    archive: async ({ number }) => {
      if (isDown) throw new Error('the archive is down');
      archived.push(number);
    },
    onError: (error) => errors.push(error),
  });
  for (let hour = 0; hour < 6; hour++) {
    for (let at = 0; at < 9; at++) await wal.append(new Uint8Array(1200), { durable: true });
    await machine.sleep(HOUR_MS);
  }
  const { archive } = wal.stats();
  assert.equal(wal.firstLsn, 1, 'nothing was removed');
  assert.equal(archive?.archived, 0);
  assert.equal(archive?.failures, errors.length);
  assert.ok(errors.length > 300 && errors.length < 6 * 60 + 10, `${errors.length} failures in six hours`);
  assert.ok((archive?.pendingMs ?? 0) > 5.9 * HOUR_MS, 'the first segment has waited all the time');
  assert.equal(archive?.pendingSegments, wal.segments().length - 1);
  isDown = false;
  await machine.sleep(61_000);
  await wal.sync();
  await machine.sleep(1000);
  assert.deepEqual(
    archived,
    archived.map((_, at) => at),
  );
  assert.equal(archived.length, 17);
  assert.equal(wal.stats().archive?.pendingSegments, 0);
  await wal.close();
});

seededTest(
  'wherever the power goes, what is archived and what is in the log hold every durable entry, and no name has two contents',
  async (seed) => {
    let lives = 0;
    for (let life = 0; life < 25; life++) {
      const machine = new SimulatedMachine({ seed: seed + life, tearsSectors: life % 2 === 0 });
      const archived = new Map<string, { bytes: Buffer; firstLsn: number; lastLsn: number }>();
      const boot = () =>
        machine.open('./log', {
          maxFileSize: 4096,
          maxFiles: 2,
          archiveTimeout: 40,
          archive: async ({ name, path, firstLsn, lastLsn }) => {
            const bytes = await machine.fs.promises.readFile(path);
            const before = archived.get(name);
            assert.ok(
              before === undefined || before.bytes.equals(bytes),
              `${name} has other content than before`,
            );
            archived.set(name, { bytes, firstLsn, lastLsn });
          },
          onError: (error) => assert.fail(error),
        });
      let durable = 0;
      for (let round = 0; round < 4; round++) {
        const wal = await boot();
        assert.ok(wal.lastLsn >= durable);
        durable = wal.lastLsn;
        const crashed = machine.crashAfter(
          20 + ((seed + life * 31 + round * 17) % 90),
          life % 3 === 0 ? 'kill' : 'power-cut',
        );
        const work = (async () => {
          for (let at = 0; at < 12; at++) {
            durable = Math.max(
              durable,
              await wal.append(new Uint8Array(at % 4 === 0 ? 1500 : 100), { durable: true }),
            );
            if (at % 5 === 4) await machine.sleep(60);
          }
          await wal.checkpoint(durable, { name: 'mailer', data: String(durable) });
          machine.kill();
        })();
        void work.catch(() => {});
        await crashed;
        lives += 1;
      }
      const wal = await boot();
      const { firstLsn, lastLsn } = wal;
      const place = wal.checkpoints.get('mailer');
      if (place !== undefined) assert.equal(Buffer.from(place.data).toString(), String(place.lsn));
      const covered = new Set(
        [...archived.values()].flatMap(({ firstLsn: from, lastLsn: to }) =>
          Array.from({ length: to - from + 1 }, (_, at) => from + at),
        ),
      );
      for (let lsn = 1; lsn < firstLsn; lsn++)
        assert.ok(covered.has(lsn), `entry ${lsn} is neither archived nor in the log`);
      assert.ok(lastLsn >= durable);
      await wal.close();
    }
    assert.equal(lives, 100);
  },
);

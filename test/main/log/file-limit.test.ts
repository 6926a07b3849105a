/**
 * A process whose files may not grow beyond a limit (`ulimit -f`): the system refuses with EFBIG what would pass it, and sends
 * a signal that Node ignores.
 */
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Wal } from '#ringwal';
import { Child, lsns, range, SMALL_RING, temporaryLog } from '../support.js';

const skip = process.platform === 'win32' && 'Windows has no such limit';

const LIMIT_KIB = 64;

/** Appends durably, one after the other, until `count` entries are in the log or it ends. */
const PROGRAM = `
  import { Wal } from '#ringwal';
  const [log, maxFileSize, preallocate, count] = process.argv.slice(1);
  const troubles = [];
  const wal = await Wal.open(log, {
    ringSize: ${SMALL_RING}, maxFileSize: Number(maxFileSize), preallocate, syncInterval: 5,
    onError: (error) => troubles.push({ code: error.code, cause: error.cause?.code }),
  });
  const told = { before: wal.lastLsn, acknowledged: wal.lastLsn, troubles };
  try {
    for (let at = 0; at < Number(count); at++) told.acknowledged = await wal.append('x'.repeat(1000), { durable: true });
  } catch (error) {
    told.error = { code: error.code, cause: error.cause?.code, message: error.message };
  }
  await wal.close().catch((error) => { told.closing = error.code; });
  process.stdout.write(JSON.stringify(told));
`;

interface Told {
  readonly before: number;
  readonly acknowledged: number;
  readonly troubles: readonly { readonly code: string; readonly cause: string }[];
  readonly error?: { readonly code: string; readonly cause: string; readonly message: string };
  readonly closing?: string;
}

async function runLimited(t: TestContext, ...args: readonly (string | number)[]): Promise<Told> {
  const { code, stdout, stderr } = await new Child(t, PROGRAM, args.map(String), {}, [
    'bash',
    '-c',
    `ulimit -f ${LIMIT_KIB} && exec "$0" "$@"`,
    process.execPath,
  ]).ended;
  assert.equal(code, 0, stderr);
  return JSON.parse(stdout) as Told;
}

for (const preallocate of ['ahead', 'zero', 'recycle']) {
  test(`a limit that frames do not reach costs a log nothing but what is made ready ahead ('${preallocate}')`, {
    skip,
  }, async (t) => {
    const log = temporaryLog(t);
    // The last of these ends just before the limit: the zeros ahead, or the whole next segment, would pass it.
    const told = await runLimited(t, log, 1024 * 1024, preallocate, 63);
    assert.equal(told.error, undefined, told.error?.message);
    assert.deepEqual([told.acknowledged, told.closing], [63, undefined]);
    assert.deepEqual(told.troubles, [{ code: 'ERR_WAL_IO', cause: 'EFBIG' }]);
    assert.equal((await Wal.verify(log)).verdict, 'clean');
  });
}

test('frames that reach the limit end the log, and it goes on with a maxFileSize below', {
  skip,
}, async (t) => {
  const log = temporaryLog(t);
  const told = await runLimited(t, log, 1024 * 1024, 'ahead', 100);
  assert.deepEqual(
    [told.error?.code, told.error?.cause, told.closing],
    ['ERR_WAL_IO', 'EFBIG', 'ERR_WAL_IO'],
  );
  assert.match(told.error?.message ?? '', /maxFileSize below the limit/);
  assert.ok(told.acknowledged > 50, `${told.acknowledged} acknowledged`);
  assert.ok(statSync(join(log, 'wal-0')).size <= LIMIT_KIB * 1024);
  const next = await runLimited(t, log, 32 * 1024, 'ahead', 100);
  assert.equal(next.error, undefined, next.error?.message);
  assert.deepEqual([next.before, next.acknowledged], [told.acknowledged, told.acknowledged + 100]);
  const reader = await Wal.open(log, { readOnly: true });
  assert.deepEqual(await lsns(reader.entries()), range(1, next.acknowledged));
  await reader.close();
});

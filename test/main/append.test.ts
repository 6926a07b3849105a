import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Wal } from '#ringwal';

test('a durable append resolves to LSN 1 in a fresh log', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'ringwal-'));
  const wal = await Wal.open(join(dir, 'log'));
  assert.equal(await wal.append('x', { durable: true }), 1);
  await wal.close();
  rmSync(dir, { recursive: true });
});

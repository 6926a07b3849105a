import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { Wal } from '#ringwal';
import { temporaryDirectory } from '../cleanup.js';
import { makeLog, snapshot, temporaryLog } from '../main/support.js';
import { intactLog } from '../worker/recover/damaged-logs.js';
import { plant, plantDamaged, ringwal, ringwalOk } from './support.js';

const WALGO = join(import.meta.dirname, '../fixtures/walgo');
const FLIPPED = 'a flipped byte in the payload of an entry in the middle of a group';

test('verify says that a log is clean, segment by segment', async (t) => {
  const log = plant(temporaryLog(t), intactLog());
  const lines = (await ringwalOk(t, ['verify', log])).split('\n');
  assert.match(lines[0] as string, /^wal-0 {2}clean {2}1 to 6 {4}6 frames/);
  assert.match(lines.at(-3) as string, /^entries 1 to 26, durable up to 26$/);
  assert.match(lines.at(-2) as string, /^clean \(row 5 of docs\/format\.md\) {2}The log is intact\.$/);
});

test('verify says what is damaged, changes nothing and ends with 1', async (t) => {
  const log = plantDamaged(temporaryLog(t), FLIPPED);
  const before = snapshot(log);
  const { code, stdout } = await ringwal(t, ['verify', log]);
  assert.equal(code, 1);
  assert.match(stdout, /^wal-0 {2}corrupt .* from byte \d+: the checksum of its data does not match$/m);
  assert.match(stdout, /Entry 4 in wal-0 at byte \d+: the checksum of its data does not match\./);
  assert.match(stdout, /No repair keeps: 4 to 8 \(5 entries\)\./);
  assert.match(stdout, /Readable entries after the damage: 9 to 26 \(18 entries\)\./);
  assert.deepEqual(snapshot(log), before);
});

test('verify names the segment that is missing', async (t) => {
  const log = plantDamaged(temporaryLog(t), 'a missing segment in the middle');
  const { code, stdout } = await ringwal(t, ['verify', log]);
  assert.equal(code, 1);
  assert.match(stdout, /^ {2}Entry 13 in wal-2: its segment is missing\.$/m);
  assert.match(stdout, /No repair keeps: 13 to 18 \(6 entries\)\./);
});

test('verify --json prints the report of Wal.verify', async (t) => {
  const log = plantDamaged(temporaryLog(t), FLIPPED);
  const { code, stdout } = await ringwal(t, ['verify', log, '--json']);
  assert.equal(code, 1);
  assert.deepEqual(JSON.parse(stdout), JSON.parse(JSON.stringify(await Wal.verify(log))));
});

test('verify --quiet answers by the exit code alone', async (t) => {
  const damaged = plantDamaged(temporaryLog(t), FLIPPED);
  const { code, stdout, stderr } = await ringwal(t, ['verify', '-q', damaged]);
  assert.deepEqual([code, stdout, stderr], [1, '', '']);
  assert.equal(await ringwalOk(t, ['verify', '-q', plant(temporaryLog(t), intactLog())]), '');
});

test('verify calls a torn log torn, and ends with 0', async (t) => {
  const stdout = await ringwalOk(t, ['verify', join(WALGO, 'torn')]);
  assert.match(stdout, /^torn \(row 6 of docs\/format\.md\) {2}A write was interrupted\./m);
});

test('verify where there is no log says so', async (t) => {
  const { code, stderr } = await ringwal(t, ['verify', temporaryDirectory(t)]);
  assert.equal(code, 4);
  assert.match(stderr, /There is no log in ".*": no wal-0, wal-1, … and no ringwal\.state\./);
});

test('verify tells how far it is', async (t) => {
  const log = temporaryLog(t);
  await makeLog(log, ['x'.repeat(300_000), 'y'.repeat(300_000)], { maxFileSize: 400_000 });
  const told: { bytesRead: number; bytesTotal: number }[] = [];
  const { segments } = await Wal.verify(log, { onProgress: (progress) => told.push(progress) });
  const bytesTotal = segments.reduce((sum, { bytes }) => sum + bytes, 0);
  const last = told.at(-1);
  assert.equal(last?.bytesTotal, bytesTotal);
  assert.ok((last?.bytesRead ?? 0) >= bytesTotal, JSON.stringify(last));
});

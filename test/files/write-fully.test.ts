import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readFully, writeFully } from '../../src/files/disk.js';
import { type Fault, SimulatedDisk } from '../../src/files/simulation/simulated-disk.js';

const CONTENT = Uint8Array.from({ length: 5000 }, (_, i) => i % 251);

function writeWith(faults: readonly (Fault | undefined)[]): { written: Uint8Array; calls: number } {
  const disk = new SimulatedDisk({ seed: 1 });
  const file = disk.open('/a', 'wx+');
  let call = 0;
  disk.onOperation(({ kind }) => (kind === 'write' ? faults[call++] : undefined));
  writeFully(file, CONTENT, 10, 4990, 3);
  return { written: disk.contents('/a').subarray(3), calls: call };
}

test('writeFully needs one call where nothing goes wrong', () => {
  const { written, calls } = writeWith([]);
  assert.deepEqual(written, CONTENT.subarray(10, 4990));
  assert.equal(calls, 1);
});

test('writeFully carries on after short writes, EINTR, EAGAIN and writes of 0 bytes', () => {
  const faults = [
    { bytes: 1 },
    { code: 'EINTR' },
    { bytes: 700 },
    { code: 'EAGAIN' },
    { bytes: 0 },
    { bytes: 4000 },
  ];
  const { written, calls } = writeWith(faults);
  assert.deepEqual(written, CONTENT.subarray(10, 4990));
  assert.equal(calls, faults.length + 1);
});

test('writeFully takes any number of interruptions between which it gets on', () => {
  // Three calls without progress before each byte; together far more than it takes in a row.
  const faults = Array.from({ length: 400 }, (_, i) => (i % 4 === 3 ? { bytes: 1 } : { code: 'EINTR' }));
  assert.deepEqual(writeWith(faults).written, CONTENT.subarray(10, 4990));
});

test('writeFully gives up on a file that keeps taking 0 bytes, with EIO, and sleeps meanwhile', () => {
  const cpu = process.cpuUsage();
  assert.throws(() => writeWith(Array(1000).fill({ bytes: 0 })), { code: 'EIO', path: '/a' });
  const { user, system } = process.cpuUsage(cpu);
  assert.ok(user + system < 250_000, `${user + system} µs of processor time`);
});

test('writeFully gives up on endless EAGAIN with that error, after a bounded number of calls', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const file = disk.open('/a', 'wx+');
  disk.failNext('write', 'EAGAIN', { times: 1000 });
  assert.throws(() => writeFully(file, CONTENT, 0, 10, 0), { code: 'EAGAIN' });
  assert.ok(disk.counts.writes < 100);
});

test('writeFully hands any other error on at once, with what was written before it in the file', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const file = disk.open('/a', 'wx+');
  disk.failNext('write', { bytes: 100 });
  disk.failNext('write', 'EIO');
  assert.throws(() => writeFully(file, CONTENT, 0, 5000, 0), { code: 'EIO' });
  assert.equal(disk.counts.writes, 2);
  assert.deepEqual(disk.contents('/a'), CONTENT.subarray(0, 100));
});

test('writeFully of nothing makes no call', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  const file = disk.open('/a', 'wx+');
  disk.failNext('write', 'EIO');
  writeFully(file, CONTENT, 5, 5, 0);
});

test('readFully carries on after short reads, EINTR and EAGAIN, and stops at the end', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  disk.plant('/a', CONTENT);
  const file = disk.open('/a', 'r');
  disk.failNext('read', { bytes: 7 });
  disk.failNext('read', 'EINTR');
  disk.failNext('read', { bytes: 100 });
  disk.failNext('read', 'EAGAIN', { times: 2 });
  const target = new Uint8Array(6000);
  assert.equal(readFully(file, target, 1000), 4000);
  assert.deepEqual(target.subarray(0, 4000), CONTENT.subarray(1000));
});

test('readFully gives up on endless EINTR, and hands other errors on at once', () => {
  const disk = new SimulatedDisk({ seed: 1 });
  disk.plant('/a', CONTENT);
  const file = disk.open('/a', 'r');
  disk.failNext('read', 'EIO');
  assert.throws(() => readFully(file, new Uint8Array(10), 0), { code: 'EIO' });
  disk.failNext('read', 'EINTR', { times: 1000 });
  assert.throws(() => readFully(file, new Uint8Array(10), 0), { code: 'EINTR' });
});

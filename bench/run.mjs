/**
 * `npm run bench [-- --rounds N]`: what an append costs the main thread and how fast entries become durable, beside the
 * floor of the same disk in the same run. Every workload runs in a process of its own, the contestants take turns, and
 * a figure is the median of the rounds with its spread: machines are shared and noisy, ratios are what counts.
 */
import { fork } from 'node:child_process';
import {
  closeSync,
  createWriteStream,
  fdatasyncSync,
  fsyncSync,
  mkdtempSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const MIB = 1024 * 1024;

/** What is measured. Each resolves to `{ unit: number, … }`, measured in a fresh process, in a fresh directory. */
const WORKLOADS = {
  'tryAppend 100 B, until fsynced': {
    ringwal: (directory) => fireAndForget(directory, 100, 1_000_000),
    'createWriteStream + fsync': (directory) => writeStream(directory, 100, 1_000_000),
    'write 1 MiB blocks + fsync': (directory) => rawBlocks(directory, 100, 1_000_000),
  },
  'tryAppend 16 B, until fsynced': {
    ringwal: (directory) => fireAndForget(directory, 16, 1_000_000),
    'createWriteStream + fsync': (directory) => writeStream(directory, 16, 1_000_000),
    'write 1 MiB blocks + fsync': (directory) => rawBlocks(directory, 16, 1_000_000),
  },
  'durable append 100 B, one at a time': {
    ringwal: (directory) => durableOneByOne(directory, 1_000),
    'write + fdatasync': (directory) => rawOneByOne(directory, 1_000),
  },
  'durable append 100 B, 1,000 in flight': {
    ringwal: (directory) => inFlight(directory, 1_000, 200_000, true),
  },
  'append 100 B, awaited, 1,000 in flight': {
    ringwal: (directory) => inFlight(directory, 1_000, 500_000, false),
  },
  'replay 100 B with batches()': {
    ringwal: (directory) => replay(directory, 1_000_000),
  },
};

async function fireAndForget(directory, bytes, count) {
  const wal = await openLog(directory);
  const entry = Buffer.alloc(bytes, 65);
  // One lap of the ring and a warm compiler first: a log lives longer than either takes.
  await appendAll(wal, entry, 200_000);
  const started = process.hrtime.bigint();
  const inCalls = await appendAll(wal, entry, count);
  const seconds = since(started);
  await wal.close();
  return {
    'M entries/s': count / seconds / 1e6,
    'ms for all': seconds * 1e3,
    'main-thread ns': inCalls / count,
  };
}

/** Returns the nanoseconds spent inside the calls. */
async function appendAll(wal, entry, count) {
  let inCalls = 0;
  for (let appended = 0; appended < count; ) {
    const started = process.hrtime.bigint();
    const end = Math.min(count, appended + 1_000);
    while (appended < end && wal.tryAppend(entry)) appended++;
    inCalls += Number(process.hrtime.bigint() - started);
    if (appended < end) await wal.ready(entry.length);
  }
  await wal.sync();
  return inCalls;
}

async function writeStream(directory, bytes, count) {
  const stream = createWriteStream(join(directory, 'stream'));
  const entry = Buffer.alloc(bytes, 65);
  const started = process.hrtime.bigint();
  const cpu = process.cpuUsage();
  for (let written = 0; written < count; written++) {
    if (!stream.write(entry)) await new Promise((resolve) => stream.once('drain', resolve));
  }
  await new Promise((resolve) => stream.end(resolve));
  const { user, system } = process.cpuUsage(cpu);
  const fd = openSync(join(directory, 'stream'), 'r+');
  fsyncSync(fd);
  closeSync(fd);
  const seconds = since(started);
  return {
    'M entries/s': count / seconds / 1e6,
    'ms for all': seconds * 1e3,
    'CPU ns, all threads': ((user + system) * 1e3) / count,
  };
}

function rawBlocks(directory, bytes, count) {
  const block = Buffer.alloc(MIB, 65);
  const fd = openSync(join(directory, 'raw'), 'w');
  const started = process.hrtime.bigint();
  for (let left = bytes * count; left > 0; left -= MIB) writeSync(fd, block, 0, Math.min(left, MIB));
  fsyncSync(fd);
  const seconds = since(started);
  closeSync(fd);
  return { 'M entries/s': count / seconds / 1e6, 'ms for all': seconds * 1e3 };
}

async function durableOneByOne(directory, count) {
  const wal = await openLog(directory);
  const entry = Buffer.alloc(100, 65);
  const latencies = [];
  for (let at = 0; at < count + 100; at++) {
    const started = process.hrtime.bigint();
    await wal.append(entry, { durable: true });
    if (at >= 100) latencies.push(since(started) * 1e6);
  }
  await wal.close();
  return percentiles(latencies);
}

function rawOneByOne(directory, count) {
  const fd = openSync(join(directory, 'raw'), 'w');
  const entry = Buffer.alloc(100, 65);
  const latencies = [];
  for (let at = 0; at < count; at++) {
    const started = process.hrtime.bigint();
    writeSync(fd, entry);
    fdatasyncSync(fd);
    latencies.push(since(started) * 1e6);
  }
  closeSync(fd);
  return percentiles(latencies);
}

async function inFlight(directory, width, count, durable) {
  const wal = await openLog(directory);
  const entry = Buffer.alloc(100, 65);
  let left = count;
  const worker = async () => {
    while (left-- > 0) await wal.append(entry, { durable });
  };
  const started = process.hrtime.bigint();
  await Promise.all(Array.from({ length: width }, worker));
  const seconds = since(started);
  const { entries, syncs } = wal.stats();
  await wal.close();
  return { 'k entries/s': count / seconds / 1e3, ...(durable ? { 'entries/sync': entries / syncs } : {}) };
}

async function replay(directory, count) {
  const wal = await openLog(directory);
  await appendAll(wal, Buffer.alloc(100, 65), count);
  const started = process.hrtime.bigint();
  let read = 0;
  for await (const batch of wal.batches()) read += batch.length;
  const seconds = since(started);
  await wal.close();
  return { 'ns/entry': (seconds / read) * 1e9 };
}

async function openLog(directory) {
  const { Wal } = await import('ringwal');
  return Wal.open(join(directory, 'log'));
}

function percentiles(latencies) {
  latencies.sort((a, b) => a - b);
  const at = (share) => latencies[Math.floor(latencies.length * share)];
  return { 'p50 µs': at(0.5), 'p99 µs': at(0.99) };
}

function since(started) {
  return Number(process.hrtime.bigint() - started) / 1e9;
}

// ── Rounds ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function runInChild(workload, contestant) {
  const directory = mkdtempSync(join(tmpdir(), 'ringwal-bench-'));
  try {
    const child = fork(fileURLToPath(import.meta.url), ['--child', workload, contestant, directory]);
    return await new Promise((resolve, reject) => {
      child.once('message', resolve);
      child.once('exit', (code) => reject(new Error(`${contestant}, ${workload}: exit code ${code}`)));
    });
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function summarize(rounds) {
  return Object.keys(rounds[0]).map((unit) => {
    const values = rounds.map((round) => round[unit]).sort((a, b) => a - b);
    const median = values[values.length >> 1];
    return `${format(median)} ${unit} (${format(values[0])}–${format(values.at(-1))})`;
  });
}

function format(value) {
  return value.toLocaleString('en', { maximumSignificantDigits: 3 });
}

const { values: options, positionals } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, child: { type: 'boolean', default: false } },
  allowPositionals: true,
});

if (options.child) {
  const [workload, contestant, directory] = positionals;
  process.send(await WORKLOADS[workload][contestant](directory), () => process.disconnect());
} else {
  console.log(
    `Node ${process.versions.node}, ${cpus().length} × ${cpus()[0].model}; median (lowest–highest) of ${options.rounds}\n`,
  );
  for (const [workload, contestants] of Object.entries(WORKLOADS)) {
    const names = Object.keys(contestants);
    const results = Object.fromEntries(names.map((name) => [name, []]));
    for (let round = 0; round < Number(options.rounds); round++) {
      for (const name of names) results[name].push(await runInChild(workload, name));
    }
    console.log(workload);
    for (const name of names) console.log(`  ${name.padEnd(28)} ${summarize(results[name]).join(', ')}`);
  }
}

import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { createHistogram } from 'node:perf_hooks';
import { AppendWindow, LOG_OPTIONS } from './append-window.mjs';
import { openLog } from './open-logs.mjs';
import { integer, ms, say, table, title } from './terminal.mjs';

const MEASURED_MS = 500;
const IN_FLIGHT = 1000;
const TMPFS = 0x01021994;

/** Prints the cost of durable appends of these lines on this machine: one after the other, and many at a time. */
export async function measure(directory, lines) {
  if (lines.count === 0) {
    title('No numbers: there is no line to append.');
    return;
  }
  title(`What it costs: the same lines, over and over, for ${MEASURED_MS} ms each`);
  const alone = await measureWindow(join(directory, 'alone'), lines, 1);
  const together = await measureWindow(join(directory, 'together'), lines, IN_FLIGHT);
  const row = (label, show) => [label, show(alone), show(together)];
  table([
    ['', 'one at a time', `${integer(IN_FLIGHT)} in flight`],
    row('entries/s', (run) => integer(run.perSecond)),
    row('durable latency, p50', (run) => ms(run.p50)),
    row('durable latency, p99', (run) => ms(run.p99)),
    row('main thread, ns per append', (run) => integer(run.mainThreadNs)),
    row('fsyncs', (run) => integer(run.syncs)),
    row('entries per fsync', (run) => integer(run.perSync)),
  ]);
  if (statfsSync(directory).type === TMPFS) {
    say(`   ${directory} lies in memory, where fsync costs nothing: TMPDIR=… chooses another place.`);
  }
}

async function measureWindow(directory, lines, maxEntries) {
  // It appends for a while, not up to a size: keep little of it.
  const wal = await openLog(directory, { ...LOG_OPTIONS, maxFiles: 4 });
  const latency = createHistogram();
  const window = new AppendWindow(wal, (_lsn, latencyMs) => latency.record(Math.ceil(latencyMs * 1e6)), {
    maxEntries,
  });

  const startedAt = performance.now();
  let entries = 0;
  let inCallsMs = 0;
  while (performance.now() - startedAt < MEASURED_MS) {
    // As many as the window takes. These calls, with the creation of their promises, are this thread's share of the work.
    const burstAt = performance.now();
    let data = lines.at(entries % lines.count);
    do {
      window.append(data);
      entries += 1;
      data = lines.at(entries % lines.count);
    } while (window.hasRoom(data.length));
    inCallsMs += performance.now() - burstAt;
    await window.room(data.length);
  }
  await window.idle();
  const seconds = (performance.now() - startedAt) / 1e3;
  const { syncs } = wal.stats();
  await wal.close();
  return {
    perSecond: entries / seconds,
    p50: latency.percentile(50) / 1e6,
    p99: latency.percentile(99) / 1e6,
    mainThreadNs: (inCallsMs * 1e6) / entries,
    syncs,
    perSync: entries / syncs,
  };
}

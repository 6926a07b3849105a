/**
 * A process that appends, exports the figures of its log to Prometheus, and subscribes to its diagnostics channels.
 *
 *   node examples/monitoring.mjs [PORT] [DIR]
 *
 *   PORT   default 9464; 0 = any free one
 *   DIR    the directory of its log; default: ringwal-monitoring in the system's temporary directory
 *
 *   curl localhost:9464/metrics
 *
 * It needs prom-client as well as ringwal. docs/grafana/ has a dashboard and alert rules for these metrics.
 */
import { subscribe } from 'node:diagnostics_channel';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { collectDefaultMetrics, Registry } from 'prom-client';
import { Wal } from 'ringwal';
import { registerWal } from 'ringwal/prometheus';

const PORT = Number(process.argv[2] ?? 9464);
const DIR = process.argv[3] ?? join(tmpdir(), 'ringwal-monitoring');

// Before the log is opened, so that nothing is missed.
subscribe('ringwal:recover', ({ recovery }) => console.log(`Recovered: ${recovery.verdict}`));
subscribe('ringwal:rotate', ({ path, sealedBytes }) =>
  console.log(`${path} begun after ${sealedBytes} bytes`),
);
subscribe('ringwal:error', ({ error }) => console.error(error.message));

const wal = await Wal.open(DIR, { maxFileSize: 4 * 2 ** 20, maxFiles: 10 });

const registry = new Registry();
collectDefaultMetrics({ register: registry });
const unregister = registerWal(wal, { registry, log: 'example' });

const server = createServer(async (request, response) => {
  if (request.url !== '/metrics') {
    response.writeHead(404).end();
    return;
  }
  response.setHeader('content-type', registry.contentType);
  response.end(await registry.metrics());
});
server.listen(PORT, '127.0.0.1', () =>
  console.log(`Metrics at http://127.0.0.1:${server.address().port}/metrics`),
);

let isStopping = false;
for (const signal of ['SIGINT', 'SIGTERM']) {
  process.once(signal, () => {
    isStopping = true;
  });
}
for (let order = 1; !isStopping; order++) {
  await wal.append(JSON.stringify({ order, item: 'tea' }), { durable: true });
  for (let line = 0; line < 100; line++) wal.tryAppend(`order ${order}, line ${line}`);
  await pause(10);
}

unregister();
await wal.close();
server.close();
server.closeAllConnections();

/**
 * A small shop that loses no order if its process is killed or its machine loses power.
 *
 *   node examples/http-server.mjs [PORT] [DIR]
 *
 *   PORT   default 8080; 0 = any free one
 *   DIR    where its two logs live; default: ringwal-shop in the system's temporary directory
 *
 *   curl -d '{"item":"tea","quantity":2}' localhost:8080/orders    → 201 once the order is fsynced
 *   curl localhost:8080/orders/1                                   → 200 or 404
 *   curl localhost:8080/stats
 *
 * Kill it (kill -9) and start it again: every order that was answered is there, and perhaps some whose answer was cut off.
 * The program builds its memory only from the log: at the start by replay, later with the same function for each new
 * entry.
 */
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Wal } from 'ringwal';

const PORT = Number(process.argv[2] ?? 8080);
const DIR = process.argv[3] ?? join(tmpdir(), 'ringwal-shop');
const MAX_BODY_BYTES = 64 * 1024;
const SHUTDOWN_MS = 10_000;

// Two logs, since they differ in their promise and in their retention. The shop waits for each order and keeps orders for
// ever. It does not wait for lines about requests and keeps the last 256 MB of them.
const orderLog = await Wal.open(join(DIR, 'orders'));
const accessLog = await Wal.open(join(DIR, 'access'), {
  maxFileSize: 16 * 2 ** 20,
  maxTotalSize: 256 * 2 ** 20,
  // The disk may be full, for example. The shop continues without these lines.
  onError: (error) => console.error(`Access log: ${error.message}`),
});

/** Orders by number. An order's number is its LSN in the log: unique, without gaps, known once it is durable. */
const orders = new Map();

for await (const entries of orderLog.batches()) {
  for (const { lsn, data } of entries) applyOrder(lsn, JSON.parse(Buffer.from(data).toString()));
}
console.log(`${orders.size} orders replayed from ${DIR}`);

let stopping;
const server = createServer(handle);
server.on('error', (error) => {
  console.error(error.message);
  process.exitCode = 1;
  stop();
});
server.listen(PORT, '127.0.0.1', () => console.log(`Listening on http://127.0.0.1:${server.address().port}`));
// Once: a second Ctrl-C kills the process, as users expect.
process.once('SIGTERM', stop);
process.once('SIGINT', stop);

/** Answers the requests that have begun, makes everything durable, and ends. */
function stop() {
  stopping ??= shutDown();
  return stopping;
}

async function shutDown() {
  if (server.listening) {
    // A client that does not finish its request cannot delay the shutdown for ever. It got no answer, so it has no
    // promise.
    const timer = setTimeout(() => server.closeAllConnections(), SHUTDOWN_MS);
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeIdleConnections();
    await closed;
    clearTimeout(timer);
  }
  for (const log of [orderLog, accessLog]) {
    // Accepts nothing more, and syncs what it has. Rejects if the log had failed before.
    await log.close().catch((error) => {
      console.error(error.message);
      process.exitCode = 1;
    });
  }
  console.log('Stopped.');
}

async function handle(request, response) {
  const { status, body } = await answer(request).catch((error) => ({
    status: error.status ?? 500,
    body: { error: error.message },
  }));
  await logAccess(`${new Date().toISOString()} ${request.method} ${request.url} ${status}`);
  response.statusCode = status;
  response.setHeader('content-type', 'application/json');
  // While stopping, keep-alive connections must not stay.
  if (!server.listening) response.setHeader('connection', 'close');
  response.end(`${JSON.stringify(body)}\n`);
}

async function answer(request) {
  const route = `${request.method} ${request.url.replace(/\d+$/, 'N')}`;
  switch (route) {
    case 'POST /orders': {
      const order = parseOrder(await readBody(request));
      return { status: 201, body: await takeOrder(order) };
    }
    case 'GET /orders/N': {
      const order = orders.get(Number(request.url.split('/').at(-1)));
      return order === undefined
        ? { status: 404, body: { error: 'no such order' } }
        : { status: 200, body: order };
    }
    case 'GET /stats':
      return {
        status: 200,
        body: { orders: orders.size, orderLog: orderLog.stats(), accessLog: accessLog.stats() },
      };
    default:
      return { status: 404, body: { error: 'nothing here' } };
  }
}

/** Durable: the shop has an order only once it is fsynced. Concurrent requests share the fsyncs. */
async function takeOrder(order) {
  let number;
  try {
    number = await orderLog.append(JSON.stringify(order), { durable: true });
  } catch (error) {
    // The disk or the queue is full: this order was not taken, and the next one may be. After any other failure the log
    // accepts nothing more, and only opening it again shows what is in it.
    const isFull = error.code === 'ERR_WAL_FULL' || error.cause?.code === 'ENOSPC';
    if (!isFull) setImmediate(stop);
    throw Object.assign(new Error('The order could not be stored.', { cause: error }), {
      status: isFull ? 503 : 500,
    });
  }
  return applyOrder(number, order);
}

function applyOrder(number, order) {
  const numbered = { number, ...order };
  orders.set(number, numbered);
  return numbered;
}

/**
 * Fire and forget: costs well under a microsecond, and reaches the disk within the log's `syncInterval`. If the disk does
 * not keep up, the answer waits. So the clients slow down, and no lines are lost or fill the memory.
 */
async function logAccess(line) {
  try {
    while (!accessLog.tryAppend(line)) await accessLog.ready(Buffer.byteLength(line));
  } catch (error) {
    console.error(`Access log: ${error.message}`);
  }
}

function parseOrder(text) {
  let order;
  try {
    order = JSON.parse(text);
  } catch {
    throw refusal(400, 'an order is JSON');
  }
  const { item, quantity } = order ?? {};
  if (typeof item !== 'string' || !Number.isSafeInteger(quantity) || quantity < 1) {
    throw refusal(400, 'an order has an item (text) and a quantity (integer from 1)');
  }
  return { item, quantity, at: new Date().toISOString() };
}

async function readBody(request) {
  const chunks = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    // Reads on without keeping anything: to stop reading would close the connection before the answer.
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (bytes > MAX_BODY_BYTES) throw refusal(413, 'too large for an order');
  return Buffer.concat(chunks).toString();
}

function refusal(status, message) {
  return Object.assign(new Error(message), { status });
}

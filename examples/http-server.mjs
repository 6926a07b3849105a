/**
 * A small shop that loses no order, whatever happens to its process or machine.
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
 * Kill it (kill -9), start it again: every order that was answered is there, and perhaps some whose answer was cut off.
 * What is in memory is only ever built from the log: at the start by replay, later by the same function for each new
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

// Two logs, since they differ in what they promise and in how long they are kept: orders for ever, and each is waited
// for; lines about requests in the last 256 MB, and nobody waits for them.
const orderLog = await Wal.open(join(DIR, 'orders'));
const accessLog = await Wal.open(join(DIR, 'access'), {
  maxFileSize: 16 * 2 ** 20,
  maxTotalSize: 256 * 2 ** 20,
  // The disk may be full, say. The shop goes on without these lines.
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
// Once: a second Ctrl-C kills, as anybody would expect.
process.once('SIGTERM', stop);
process.once('SIGINT', stop);

/** Answers everything that was begun, makes everything durable, ends. */
function stop() {
  stopping ??= shutDown();
  return stopping;
}

async function shutDown() {
  if (server.listening) {
    // A client that does not get on with its request cannot hold this up for ever: it was not answered, so it was not
    // promised anything.
    const timer = setTimeout(() => server.closeAllConnections(), SHUTDOWN_MS);
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeIdleConnections();
    await closed;
    clearTimeout(timer);
  }
  for (const log of [orderLog, accessLog]) {
    // Takes nothing more, syncs what it has. Rejects if the log had failed before.
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

/** Durable: it is an order only once it is fsynced. Many requests at a time share the fsyncs. */
async function takeOrder(order) {
  let number;
  try {
    number = await orderLog.append(JSON.stringify(order), { durable: true });
  } catch (error) {
    // Full, the disk or the queue: the order was not taken, and the next one may be. After any other failure the log
    // takes nothing more, and only opening it again tells what is in it.
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
 * not keep up, the answer waits: so the clients slow down, instead of lines getting lost or filling the memory.
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
    // Read on, though nothing is kept: breaking off would close the connection before the answer.
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  if (bytes > MAX_BODY_BYTES) throw refusal(413, 'too large for an order');
  return Buffer.concat(chunks).toString();
}

function refusal(status, message) {
  return Object.assign(new Error(message), { status });
}

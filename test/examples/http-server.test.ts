import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { Wal } from '#ringwal';
import { temporaryDirectory } from '../cleanup.js';
import { startExample } from './example.js';

interface Order {
  number: number;
  item: string;
  quantity: number;
  at: string;
}

test('a server that is killed has every order that it answered when it is started again', async (t) => {
  const directory = temporaryDirectory(t);
  const answered: Order[] = [];
  for (let round = 1; round <= 3; round++) {
    const server = await startServer(t, directory);
    assert.ok(server.replayed >= answered.length);
    for (const order of answered) assert.deepEqual(await get(`${server.url}/orders/${order.number}`), order);

    const enough = answered.length + 100;
    await sendOrders(server.url, answered, () => {
      if (answered.length >= enough) server.child.kill('SIGKILL');
    });
    assert.equal((await server.ended).signal, 'SIGKILL');
    assert.ok(answered.length >= enough);
  }
  assert.equal(new Set(answered.map((order) => order.number)).size, answered.length);
  const server = await startServer(t, directory);
  for (const order of answered) assert.deepEqual(await get(`${server.url}/orders/${order.number}`), order);
});

test('SIGTERM loses no order and no access line', async (t) => {
  const directory = temporaryDirectory(t);
  const answered: Order[] = [];
  const server = await startServer(t, directory);
  await sendOrders(server.url, answered, () => {
    // Once: a second one kills.
    if (answered.length === 100) server.child.kill('SIGTERM');
  });
  const { code, errors } = await server.ended;
  assert.deepEqual({ code, errors }, { code: 0, errors: '' });

  const orders = await readLog(join(directory, 'orders'));
  for (const { number, ...order } of answered) {
    assert.deepEqual(JSON.parse(orders[number - 1] as string), order);
  }
  const accessLines = await readLog(join(directory, 'access'));
  assert.ok(accessLines.length >= answered.length);
  for (const line of accessLines) assert.match(line, /^\S+Z POST \/orders 201$/);
});

test('a request that is under way at SIGTERM is answered, and what it ordered is kept', async (t) => {
  const directory = temporaryDirectory(t);
  const server = await startServer(t, directory);
  const body = JSON.stringify({ item: 'late', quantity: 1 });
  const client = connect(Number(new URL(server.url).port), '127.0.0.1').setEncoding('utf8');
  client.write(
    `POST /orders HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: ${body.length}\r\n\r\n`,
  );
  // Its answer shows that the request has begun.
  assert.match(String(await once(client, 'data')), /100 Continue/);
  server.child.kill('SIGTERM');
  await refusesConnections(server.url);
  client.write(body);
  let answer = '';
  for await (const text of client) answer += text;
  assert.match(answer, /201 Created[\s\S]*"number":1/);
  assert.equal((await server.ended).code, 0);
  assert.equal((await readLog(join(directory, 'orders'))).length, 1);
});

test('what is no order is refused and leaves no trace', async (t) => {
  const server = await startServer(t, temporaryDirectory(t));
  const post = async (body: string) => (await fetch(`${server.url}/orders`, { method: 'POST', body })).status;
  for (const body of ['', 'tea', 'null', '{}', '{"item":"tea","quantity":0}', '{"item":1,"quantity":1}']) {
    assert.equal(await post(body), 400, body);
  }
  assert.equal(await post(`{"item":"${'x'.repeat(300_000)}","quantity":1}`), 413);
  for (const path of ['/', '/orders', '/orders/1', '/orders/x', '/nothing']) {
    assert.equal((await fetch(server.url + path)).status, 404, path);
  }
  const stats = (await get(`${server.url}/stats`)) as { orders: number; orderLog: { accepted: number } };
  assert.equal(stats.orders, 0);
  assert.equal(stats.orderLog.accepted, 0);
});

test('a second server on the same directory is refused, and the first works on', async (t) => {
  const directory = temporaryDirectory(t);
  const first = await startServer(t, directory);
  const second = startExample(t, 'http-server.mjs', ['0', directory]);
  const { code, errors } = await second.ended;
  assert.equal(code, 1);
  assert.match(errors, /ERR_WAL_LOCKED/);
  assert.equal((await fetch(`${first.url}/stats`)).status, 200);
});

test('a port that is taken ends the server with the reason, its logs closed', async (t) => {
  const first = await startServer(t, temporaryDirectory(t));
  const directory = temporaryDirectory(t);
  const second = startExample(t, 'http-server.mjs', [new URL(first.url).port, directory]);
  const { code, errors } = await second.ended;
  assert.equal(code, 1);
  assert.match(errors, /EADDRINUSE/);
  await startServer(t, directory);
});

async function startServer(t: TestContext, directory: string) {
  const example = startExample(t, 'http-server.mjs', ['0', directory]);
  const [, replayed, url] = await example.seen(/(\d+) orders replayed[\s\S]*Listening on (http:\S+)\n/);
  return { ...example, replayed: Number(replayed), url: url as string };
}

/** Several clients, each one order after the other, until the server is gone. `onAnswer` hears of each answer. */
async function sendOrders(url: string, answered: Order[], onAnswer: () => void): Promise<void> {
  const client = async (name: number) => {
    for (let quantity = 1; ; quantity++) {
      const item = `item of client ${name}`;
      let order: Order;
      try {
        const response = await fetch(`${url}/orders`, {
          method: 'POST',
          body: JSON.stringify({ item, quantity }),
        });
        assert.equal(response.status, 201);
        order = (await response.json()) as Order;
      } catch (error) {
        // `fetch` fails so when the connection does: the server is gone, and has not answered this one.
        if (error instanceof TypeError) return;
        throw error;
      }
      assert.deepEqual({ item: order.item, quantity: order.quantity }, { item, quantity });
      answered.push(order);
      onAnswer();
    }
  };
  await Promise.all(Array.from({ length: 16 }, (_, name) => client(name)));
}

async function get(url: string): Promise<unknown> {
  const response = await fetch(url);
  assert.equal(response.status, 200, url);
  return response.json();
}

async function readLog(directory: string): Promise<string[]> {
  const reader = await Wal.open(directory, { readOnly: true });
  const lines = [];
  for await (const { data } of reader.entries()) lines.push(Buffer.from(data).toString());
  await reader.close();
  return lines;
}

async function refusesConnections(url: string): Promise<void> {
  for (;;) {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    const isRefused = await new Promise<boolean>((resolve) => {
      socket.once('connect', () => resolve(false)).once('error', () => resolve(true));
    });
    socket.destroy();
    if (isRefused) return;
  }
}

/**
 * HTTP load from a separate process, over plain sockets, so that it takes little processor time from the server.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { quantile } from '../measure/statistics.js';

export interface Load {
  readonly port: number;
  readonly connections: number;
  /** Initial time that is not counted. */
  readonly warmUpMs: number;
  readonly measuredMs: number;
  /** Requests per second at fixed times; absent = each connection sends a request as soon as the last one is answered. */
  readonly requestsPerS?: number;
}

export interface LoadReport {
  /** Answered requests per second. */
  readonly requestsPerS: number;
  /** p99 of the time from when a request was due until its answer. */
  readonly responseP99Ms: number;
}

const REQUEST = 'GET / HTTP/1.1\r\nHost: bench\r\n\r\n';
const END_OF_ANSWER = '\r\n\r\nok';

/** Loads a server of this process from a child process, which runs the same program. */
export async function runLoad(load: Load): Promise<LoadReport> {
  const program = process.argv[1] as string;
  const child = fork(program, ['load', JSON.stringify(load)]);
  const [report] = (await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(([code]) => {
      throw new Error(`the load generator ended with exit code ${code}`);
    }),
  ])) as [LoadReport];
  return report;
}

/** Runs in the child process. */
export async function generateLoad(load: Load): Promise<LoadReport> {
  const sockets = await Promise.all(Array.from({ length: load.connections }, () => open(load.port)));
  const idle = [...sockets];
  const dueMs = new Map<Socket, number>();
  const responsesMs: number[] = [];
  let isMeasured = false;
  let isOver = false;
  let unsentDueMs: number[] = [];

  const ask = (socket: Socket, due: number) => {
    dueMs.set(socket, due);
    socket.write(REQUEST);
  };
  for (const socket of sockets) {
    let answer = '';
    socket.on('data', (chunk: string) => {
      answer += chunk;
      if (!answer.endsWith(END_OF_ANSWER)) return;
      answer = '';
      const nowMs = performance.now();
      if (isMeasured) responsesMs.push(nowMs - (dueMs.get(socket) as number));
      const next = load.requestsPerS === undefined && !isOver ? nowMs : unsentDueMs.shift();
      if (next === undefined) idle.push(socket);
      else ask(socket, next);
    });
  }

  let pacer: NodeJS.Timeout | undefined;
  if (load.requestsPerS === undefined) {
    for (const socket of idle.splice(0)) ask(socket, performance.now());
  } else {
    const everyMs = 1e3 / load.requestsPerS;
    let nextMs = performance.now();
    pacer = setInterval(() => {
      for (const nowMs = performance.now(); nextMs <= nowMs; nextMs += everyMs) {
        const socket = idle.pop();
        if (socket === undefined) unsentDueMs.push(nextMs);
        else ask(socket, nextMs);
      }
    }, 1);
  }
  await sleep(load.warmUpMs);
  isMeasured = true;
  const startedMs = performance.now();
  await sleep(load.measuredMs);
  isMeasured = false;
  const seconds = (performance.now() - startedMs) / 1e3;
  isOver = true;
  clearInterval(pacer);
  unsentDueMs = [];
  for (const socket of sockets) socket.destroy();
  return {
    requestsPerS: responsesMs.length / seconds,
    responseP99Ms: quantile(
      responsesMs.sort((a, b) => a - b),
      0.99,
    ),
  };
}

async function open(port: number): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.setEncoding('latin1');
  // The server closes the remaining sockets when it ends.
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

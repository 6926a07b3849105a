/** The producer thread of stress.test.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { Doorbell } from '../../src/ring/doorbell.js';
import { type LaneMemory, LaneWord, viewLane } from '../../src/ring/layout.js';
import { LaneProducer } from '../../src/ring/producer.js';
import { Canaries } from './canaries.js';

export interface StressData {
  readonly lane: LaneMemory;
  readonly bell: SharedArrayBuffer;
  /** One word, raised and notified when a wish for room is granted. */
  readonly room: SharedArrayBuffer;
  readonly seed: number;
  readonly entries: number;
}

/** A word that has not come so long after there was room was lost. */
const LOST_MS = 10_000;

const { lane, bell, room, seed, entries } = workerData as StressData;
const views = viewLane(lane);
const producer = new LaneProducer(views);
const doorbell = new Doorbell(bell);
const roomWord = new Int32Array(room);
const canaries = new Canaries(seed, views.ringBytes);

parentPort!.once('message', produce);
parentPort!.postMessage('ready');

function produce(): void {
  for (let pushed = 0; pushed < entries; ) {
    const group = canaries.nextGroup(entries - pushed);
    while (!push(group)) waitForRoom(group);
    pushed += group.length;
    doorbell.ring(pushed % 16 === 0);
    // A pause now and then lets the writer go to sleep.
    if (pushed % 4096 < group.length) Atomics.wait(roomWord, 0, Atomics.load(roomWord, 0), 3);
  }
  doorbell.ring(true);
}

function push(group: readonly Uint8Array[]): boolean {
  return group.length === 1 ? producer.tryPush(group[0]) : producer.tryPushBatch(group);
}

function waitForRoom(group: readonly Uint8Array[]): void {
  const word = Atomics.load(roomWord, 0);
  const bytes = group.reduce((sum, data) => sum + data.length + 16, 0);
  if (producer.askForRoom(bytes)) return;
  doorbell.ring(true);
  while (Atomics.wait(roomWord, 0, word, LOST_MS) === 'timed-out') {
    if (isDue() && Atomics.wait(roomWord, 0, word, LOST_MS) === 'timed-out')
      throw new Error('no word of room');
  }
}

/** The wish for room can be granted, or was taken to be. */
function isDue(): boolean {
  const wanted = Atomics.load(views.i32, LaneWord.roomWanted);
  const used = Atomics.load(views.i32, LaneWord.head) - Atomics.load(views.i32, LaneWord.tail);
  return wanted === 0 || wanted <= views.ringBytes - (used | 0);
}

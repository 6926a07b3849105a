import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BellState, createDoorbellMemory, Doorbell, DoorbellSleeper } from '../../src/ring/doorbell.js';

const BELL = 0;

test('a running writer is not rung for', () => {
  const { doorbell, bell } = createDoorbell();
  doorbell.ring(true);
  assert.equal(bell[BELL], 0);
});

test('only an urgent ring ends lingering, any ring ends parking', () => {
  for (const [state, urgent, woken] of [
    [BellState.lingering, false, false],
    [BellState.lingering, true, true],
    [BellState.parked, false, true],
    [BellState.parked, true, true],
  ] as const) {
    const { doorbell, sleeper } = createDoorbell();
    const announced = sleeper.announce(state);
    doorbell.ring(urgent);
    assert.equal(sleeper.wait(announced, 0), woken);
  }
});

test('one thread rings once for each sleep', () => {
  const { doorbell, sleeper, bell } = createDoorbell();
  for (let sleep = 0; sleep < 3; sleep++) {
    const announced = sleeper.announce(BellState.parked);
    doorbell.ring(true);
    const rung = bell[BELL];
    assert.notEqual(rung, announced);
    doorbell.ring(true);
    assert.equal(bell[BELL], rung);
    sleeper.awake();
  }
});

test('a ring leaves the state alone, so that the next thread rings too', () => {
  const { doorbell, sleeper, memory, bell } = createDoorbell();
  sleeper.announce(BellState.parked);
  doorbell.ring(true);
  assert.equal(bell[BELL] & 3, BellState.parked);
  const rung = bell[BELL];
  new Doorbell(memory).ring(false);
  assert.notEqual(bell[BELL], rung);
});

test('the state goes from lingering to parked and back to running, and the generation survives its overflow', () => {
  const { sleeper, bell } = createDoorbell();
  bell[BELL] = 2 ** 31 - 4; // the last generation before the sign bit
  assert.equal(sleeper.announce(BellState.lingering), -(2 ** 31) + BellState.lingering);
  assert.equal(sleeper.announce(BellState.parked), -(2 ** 31) + 4 + BellState.parked);
  sleeper.awake();
  assert.equal(bell[BELL], -(2 ** 31) + 4);
  bell[BELL] = -4; // the last one of all
  assert.equal(sleeper.announce(BellState.parked), BellState.parked);
});

test('a wait that nobody rings for ends with its time', () => {
  const { sleeper } = createDoorbell();
  assert.equal(sleeper.wait(sleeper.announce(BellState.lingering), 5), false);
});

test('flags are seen through every end', () => {
  const { doorbell, memory } = createDoorbell();
  const other = new Doorbell(memory);
  assert.deepEqual([other.closing, other.failed, other.dead], [false, false, false]);
  doorbell.setClosing();
  doorbell.setFailed();
  doorbell.setDead();
  assert.deepEqual([other.closing, other.failed, other.dead], [true, true, true]);
});

function createDoorbell() {
  const memory = createDoorbellMemory();
  return {
    memory,
    bell: new Int32Array(memory),
    doorbell: new Doorbell(memory),
    sleeper: new DoorbellSleeper(memory),
  };
}

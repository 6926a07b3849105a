import { test } from 'node:test';
import { SimulatedDisk } from '../../src/files/simulation/simulated-disk.js';
import type { WriterOptions } from '../../src/protocol/thread-data.js';
import type { CrashKind } from './model.js';
import { Simulation, Stopped } from './simulation.js';
import { goOn, LONG_SEGMENTS, liveALittle, SMALL_SEGMENTS, useSegmentsAgain } from './workload.js';

/** Seeds for each cut point: chance decides which unsynced changes are left. */
const FATES = [1, 2];
/** Two cuts in a row are too many to try all: only every n-th first cut is tried. */
const STRIDE = 13;

interface Setting {
  readonly name: string;
  readonly options: Partial<WriterOptions>;
  readonly work: (simulation: Simulation) => void;
}

const GROWING: Setting = { name: 'segments grow', options: SMALL_SEGMENTS, work: liveALittle };
/** With prepared segments: a cut leaves parts of them, and of their earlier content. */
const READY: readonly Setting[] = [
  { name: 'ahead', options: { ...SMALL_SEGMENTS, preallocate: 'ahead' }, work: liveALittle },
  { name: 'zeros', options: { ...SMALL_SEGMENTS, preallocate: 'zero' }, work: liveALittle },
  { name: 'recycled', options: { ...SMALL_SEGMENTS, preallocate: 'recycle' }, work: liveALittle },
  { name: 'stale frames', options: { ...LONG_SEGMENTS, preallocate: 'recycle' }, work: useSegmentsAgain },
];

for (const setting of READY) {
  for (const kind of ['power cut', 'killed process'] as const) {
    test(`with segments made ready (${setting.name}), after a ${kind} at any operation the log goes on, and a power cut then takes nothing that it promised`, () => {
      forEachCut((seed, cut) => {
        const simulation = stoppedAt(seed, cut, kind, setting);
        goOn(simulation);
        simulation.crash('power cut');
        simulation.open();
        simulation.assertSettled();
        simulation.close();
      }, setting);
    });
  }
}

const operations = operationsOf(GROWING);

for (const kind of ['power cut', 'killed process'] as const) {
  test(`after a ${kind} at any of ${operations} operations the log opens and has kept its promises`, () => {
    forEachCut((seed, cut) => {
      const simulation = stoppedAt(seed, cut, kind);
      simulation.open();
      simulation.assertSettled();
      simulation.close();
    });
  });

  test(`after a ${kind} at any operation the log goes on, and a power cut then takes nothing that it promised`, () => {
    forEachCut((seed, cut) => {
      const simulation = stoppedAt(seed, cut, kind);
      goOn(simulation);
      simulation.crash('power cut');
      simulation.open();
      simulation.assertSettled();
      simulation.close();
    });
  });

  test(`a ${kind} at any operation of a recovery leaves a log that the next one recovers`, () => {
    forEachCut((seed, cut) => {
      if (cut % STRIDE !== seed) return;
      for (let again = 0; ; again++) {
        const simulation = stoppedAt(seed, cut, 'power cut');
        simulation.stopAt(simulation.disk.counts.operations + again);
        const stopped = stops(() => simulation.open());
        simulation.crash(kind);
        if (!stopped) return;
        goOn(simulation);
        simulation.crash('power cut');
        simulation.open();
        simulation.assertSettled();
        simulation.close();
      }
    });
  });
}

function forEachCut(check: (seed: number, cut: number) => void, setting = GROWING): void {
  const cuts = operationsOf(setting);
  for (const seed of FATES) {
    for (let cut = 0; cut < cuts; cut++) {
      try {
        check(seed, cut);
      } catch (error) {
        throw new Error(`stopped at operation ${cut}, fate ${seed}: ${(error as Error).stack}`);
      }
    }
  }
}

function stoppedAt(seed: number, cut: number, kind: CrashKind, setting = GROWING): Simulation {
  const simulation = newSimulation(seed, setting);
  simulation.stopAt(cut);
  stops(() => setting.work(simulation));
  simulation.crash(kind);
  return simulation;
}

function stops(work: () => void): boolean {
  try {
    work();
    return false;
  } catch (error) {
    if (error instanceof Stopped) return true;
    throw error;
  }
}

function newSimulation(seed: number, { options }: Setting): Simulation {
  return new Simulation({ disk: new SimulatedDisk({ seed }), options });
}

function operationsOf(setting: Setting): number {
  const simulation = newSimulation(1, setting);
  setting.work(simulation);
  return simulation.disk.counts.operations;
}

import { Random, SimulatedDisk } from '../../src/files/simulation/simulated-disk.js';
import type { CheckpointChange } from '../../src/protocol/checkpoint-changes.js';
import type { LogFailure } from '../../src/worker/errors/failure.js';
import { Level, SMALL_PAYLOAD_MAX } from '../worker/support/lane-client.js';
import { Simulation, type SimulationSettings, Stopped } from './simulation.js';
import { payload } from './workload.js';

const BOOTS = 6;
const ACTIONS_MAX = 40;
/** About as many disk operations as a boot takes. */
const OPERATIONS_MAX = 120;
/** Longer segments need longer boots until a file is recycled. */
const RECYCLING_LENGTH = 3;

/** Payloads for which a frame fills a sector, at the start of a group or inside it: stale frames can then line up after it. */
const SECTOR_FILLERS = [472, 490, 497];

/** Longer than a record of the ring may be. */
const PAYLOAD_MAX = 1500;

const SOME_FILES = [2, 4, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
const RECYCLING_FILES = [1, 2, 2, Number.POSITIVE_INFINITY];

const HOUR_MS = 3_600_000;
const YEAR_MS = 365 * 24 * HOUR_MS;

/** Blocks so small that a life has many of them. Lives are the same on every Node, so zstd is left to the tests of blocks. */
const COMPRESSIONS = [
  undefined,
  { codec: 'lz4', sizes: { most: 400, least: 60 } },
  { codec: 'lz4', sizes: { most: 2000, least: 200 } },
] as const;

/** The faults of a single disk operation. */
const FAULTS = [
  ['write', 'EIO'],
  ['write', 'ENOSPC'],
  ['write', 'EDQUOT'],
  ['read', 'EIO'],
  ['datasync', 'EIO'],
  ['sync', 'EIO'],
  ['syncDirectory', 'EIO'],
  ['truncate', 'EIO'],
  ['open', 'EMFILE'],
  ['open', 'ENOSPC'],
  ['open', 'EACCES'],
  ['list', 'EMFILE'],
  ['unlink', 'EPERM'],
  ['unlink', 'EIO'],
  ['rename', 'ENOSPC'],
  ['rename', 'EIO'],
  ['close', 'EIO'],
] as const;

export interface LifeSettings extends Partial<SimulationSettings> {
  /** Only appends, syncs, crashes and power cuts happen. */
  readonly isCalm?: boolean;
  /** Between two boots bits flip, files are cut short, and a corrupt log is repaired. Default: unless calm. */
  readonly rots?: boolean;
  /** The most bytes of an entry. Default: entries both for the ring and for messages beside it. */
  readonly payloadMax?: number;
  /** The life ends after this many actions: used to shrink a failing life. */
  readonly actionsMax?: number;
}

/** One random life of a log: several boots, each with some work and a random end. Throws if a promise was broken. */
export function liveByChance(
  seed: number,
  {
    isCalm = false,
    rots = !isCalm,
    payloadMax = PAYLOAD_MAX,
    actionsMax = Number.POSITIVE_INFINITY,
    ...settings
  }: LifeSettings = {},
): void {
  const random = new Random(seed);
  const disk = new SimulatedDisk({
    seed,
    nuisance: random.pick([0, 0, 0.1]),
    tearsSectors: random.chance(0.3),
    failedSync: random.pick(['ext4', 'xfs', 'btrfs']),
    syncMs: random.pick([0, 0, 3, 700]),
  });
  const preallocate = random.pick([false, 'ahead', 'zero', 'recycle'] as const);
  const isRecycling = preallocate === 'recycle';
  const options = {
    preallocate,
    // A recycled file keeps its old content after the first 4 KiB, so it must be longer than that.
    maxFileSize: random.pick(isRecycling ? [600, 4700, 6000] : [200, 600, 2000]),
    maxFiles: random.pick(isRecycling ? RECYCLING_FILES : SOME_FILES),
    maxAge: random.pick([2000, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]),
    retainFromCheckpoint: random.chance(0.3),
    commitDelay: random.pick([0, 0, 5]),
    timeResolution: random.pick([0, 1, 100, 3_600_000]),
    hasArchive: random.chance(0.3),
    archiveTimeout: random.pick([30, Number.POSITIVE_INFINITY]),
    compression: random.pick(COMPRESSIONS),
  };
  const simulation = new Simulation({ disk, options, ...settings });
  const length = isRecycling ? RECYCLING_LENGTH : 1;
  const life = new Life(simulation, random, { isCalm, rots, payloadMax, actionsMax, length });
  try {
    for (let boot = 0; boot < BOOTS && !life.isOver; boot++) life.boot();
    disk.capacityBytes = Number.POSITIVE_INFINITY;
    if (simulation.model.isDamaged) simulation.mend('salvage');
    simulation.open();
    simulation.assertSettled();
    simulation.close();
  } catch (error) {
    throw new Error(`seed ${seed}: ${(error as Error).stack}\n${disk.trace}`);
  }
}

interface Nature extends Required<Pick<LifeSettings, 'isCalm' | 'rots' | 'payloadMax' | 'actionsMax'>> {
  /** A boot does this many times the usual work. */
  readonly length: number;
}

class Life {
  readonly #simulation: Simulation;
  readonly #random: Random;
  readonly #nature: Nature;
  #nextId = 1;
  #actionsLeft: number;
  /**
   * A failed sync of a directory loses names for good, and a real file system does not continue then: its journal is aborted and
   * it is read-only until the machine restarts. So no process opens the log before a power cut.
   */
  #mustRestart = false;

  constructor(simulation: Simulation, random: Random, nature: Nature) {
    this.#actionsLeft = nature.actionsMax;
    this.#simulation = simulation;
    this.#random = random;
    this.#nature = nature;
  }

  get isOver(): boolean {
    return this.#actionsLeft === 0;
  }

  boot(): void {
    const simulation = this.#simulation;
    const random = this.#random;
    const { disk, model } = simulation;
    const { isCalm, rots, length } = this.#nature;
    if (rots && simulation.isAtRest && !model.isDamaged && random.chance(0.4)) simulation.damage(random);
    if (random.chance(0.8)) simulation.stopAt(disk.counts.operations + random.below(OPERATIONS_MAX * length));
    if (!isCalm && random.chance(0.4)) this.#planFault();
    try {
      if (model.isDamaged) simulation.mend(random.pick(['truncate', 'salvage']));
      simulation.open();
      for (let actions = random.below(ACTIONS_MAX * length); actions > 0 && !this.isOver; actions--) {
        this.#actionsLeft -= 1;
        this.#act();
      }
      if (random.chance(0.3)) {
        simulation.close();
        if (!this.#mustRestart) return;
      }
    } catch (error) {
      if (!(error instanceof Stopped) && !isByFault(error)) throw error;
    }
    simulation.crash(this.#mustRestart || random.chance(0.5) ? 'power cut' : 'killed process');
    this.#mustRestart = false;
  }

  #planFault(): void {
    const random = this.#random;
    const [kind, code] = random.pick(FAULTS);
    if (kind === 'syncDirectory') this.#mustRestart = true;
    const fault = kind === 'write' ? { code, bytes: random.below(64) } : code;
    this.#simulation.disk.failNext(kind, fault, { after: random.below(15), times: random.pick([1, 1, 4]) });
  }

  #act(): void {
    const simulation = this.#simulation;
    const random = this.#random;
    const pick = random.below(this.#nature.isCalm ? 20 : 27);
    if (pick < 7) simulation.append(this.#payload(), this.#level());
    else if (pick < 8) this.#appendQueued();
    else if (pick < 9) this.#appendBatch();
    else if (pick < 10) random.chance(0.5) ? this.#appendBatch() : this.#appendExpecting();
    else if (pick < 11) simulation.sync();
    else if (pick < 14) simulation.step();
    else if (pick < 16) simulation.run();
    else if (pick < 18) simulation.finishSync();
    else if (pick < 19) random.chance(0.5) ? simulation.workOfSync() : simulation.switchPolling();
    else if (pick < 20) simulation.sleep(random.below(300));
    else if (pick < 21) this.#command();
    else if (pick < 23) this.#change();
    else if (pick < 24) this.#fillDisk();
    else if (pick < 25) this.#setClock();
    else if (pick < 26) this.#planFault();
    else simulation.backUp(random);
  }

  /** By a second, or an hour; or to 2035 or 1970, and back. */
  #setClock(): void {
    const { disk } = this.#simulation;
    const random = this.#random;
    if (random.chance(0.5)) disk.advance(random.pick([-1000, 1000]));
    else disk.clockErrorMs = random.pick([0, 0, -HOUR_MS, HOUR_MS, 9 * YEAR_MS, -60 * YEAR_MS]);
  }

  #appendQueued(): void {
    const payloads = Array.from({ length: 1 + this.#random.below(8) }, () => this.#payload());
    const small = payloads.filter(({ length }) => length <= SMALL_PAYLOAD_MAX);
    if (small.length > 0) this.#simulation.appendQueued(small, this.#level());
  }

  #appendBatch(): void {
    const parts = Array.from({ length: 1 + this.#random.below(8) }, () => this.#payload());
    this.#simulation.appendBatch(parts, this.#level());
  }

  #command(): void {
    const random = this.#random;
    const { model } = this.#simulation;
    const name = random.pick([
      'checkpoint',
      'truncateBefore',
      'truncateAfter',
      'truncateAfter',
      'reset',
      'rotate',
    ] as const);
    const lsn = random.below(model.lastLsn + 2);
    // Often there is nothing left to do with a log that was emptied.
    if (name === 'reset') this.#simulation.command(name, 1 + random.below(model.lastLsn + 20));
    else if (name === 'rotate') this.#simulation.command(name, 0);
    else if (name === 'truncateAfter' && random.chance(0.2))
      this.#simulation.command(name, Math.max(0, model.firstLsn - 1));
    else this.#simulation.command(name, lsn, name === 'truncateAfter' && random.chance(0.5));
  }

  /** Mostly what would be the next LSN if nothing else came. */
  #appendExpecting(): void {
    const random = this.#random;
    const parts = Array.from({ length: random.pick([1, 1, 3]) }, () => this.#payload());
    const lsn = Math.max(1, this.#simulation.model.lastLsn + random.pick([1, 1, 1, 0, 2]));
    this.#simulation.appendExpecting(parts, lsn, this.#level());
  }

  /** Named checkpoints, a few in one request, and what the archive says of itself. */
  #change(): void {
    const simulation = this.#simulation;
    const random = this.#random;
    const changes = Array.from({ length: 1 + random.below(3) }, (): CheckpointChange => {
      const name = random.pick(['mailer', 'index', 'é']);
      if (random.chance(0.2)) return { kind: 'remove', name };
      const data = payload(this.#nextId++, random.pick([0, 10, 600, 4096]));
      return { kind: 'set', name, lsn: random.below(simulation.model.lastLsn + 2), data };
    });
    const { sealed, cuts } = simulation;
    if (sealed >= 0) changes.push({ kind: 'archived', before: 1 + random.below(sealed + 1), cuts });
    simulation.change(...changes);
  }

  /** Fills the disk, or makes room again. */
  #fillDisk(): void {
    const { disk } = this.#simulation;
    disk.capacityBytes = this.#random.chance(0.5)
      ? disk.usedBytes + 512 * this.#random.below(8)
      : Number.POSITIVE_INFINITY;
  }

  #payload(): Uint8Array {
    const length = this.#random.chance(0.3)
      ? this.#random.pick(SECTOR_FILLERS)
      : this.#random.below(this.#random.pick([8, 100, 300, PAYLOAD_MAX]));
    return payload(this.#nextId++, Math.min(length, this.#nature.payloadMax));
  }

  #level(): number {
    return this.#random.pick(Object.values(Level));
  }
}

/** An open that failed because of the disk. The disk is never the reason for a corrupt log. */
function isByFault(error: unknown): boolean {
  const code = (error as { code?: string }).code ?? '';
  const failure = (error as Partial<LogFailure>).failure?.code;
  return /^E[A-Z]+$/.test(code) || failure === 'ERR_WAL_SYNC_FAILED' || failure === 'ERR_WAL_IO';
}

import { SEED, seededTest } from '../seed.js';
import { liveByChance } from './random-life.js';

/** Set RINGWAL_SEED to the seed of a failed life to begin with that life. */
const LIVES = 400;

seededTest(
  `${LIVES} lives of a log, with crashes, power cuts and faults of the disk, break no promise`,
  () => {
    for (let seed = SEED; seed < SEED + LIVES; seed++) liveByChance(seed);
  },
);

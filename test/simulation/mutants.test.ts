import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HONEST, MUTANTS } from './mutants.js';
import { type LifeSettings, liveByChance } from './random-life.js';

/** A mistake that this many lives do not reveal counts as overlooked. */
const LIVES_MAX = 1000;
const HONEST_LIVES = 100;

for (const { mistake, settings, complaint } of MUTANTS) {
  test(`a log that ${mistake} is caught`, () => {
    for (let seed = 1; seed <= LIVES_MAX; seed++) {
      const message = complaintAbout(seed, settings);
      if (message !== undefined && complaint.test(message)) return;
    }
    assert.fail('the checker noticed nothing');
  });
}

test('an honest log in the same surroundings is not complained of', () => {
  for (const settings of HONEST) {
    for (let seed = 1; seed <= HONEST_LIVES; seed++) liveByChance(seed, settings);
  }
});

/** The checker's complaint about one life; `undefined`: none. */
function complaintAbout(seed: number, settings: LifeSettings): string | undefined {
  try {
    liveByChance(seed, { isCalm: true, ...settings });
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

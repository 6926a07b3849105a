import { contentAfter, stepKey, WRITERS } from './steps.mjs';

/** The number of the last step of each writer that is in `store`. */
export function stepsIn(store) {
  return Array.from({ length: WRITERS }, (_, writer) => store.get(stepKey(writer)) ?? 0);
}

/**
 * Proves that `store` has each step that was acknowledged, each of them whole, and nothing else.
 *
 * @param acknowledged the last acknowledged step of each writer; the next one may be there too, if its answer was cut off
 */
export function prove(store, acknowledged) {
  const steps = stepsIn(store);
  for (const [writer, step] of steps.entries()) {
    const last = acknowledged[writer];
    if (step < last) throw new Error(`writer ${writer} had step ${last} acknowledged, and ${step} is there`);
    if (step > last + 1)
      throw new Error(`writer ${writer} had step ${last} acknowledged, yet ${step} is there`);
  }
  const found = new Map(store.entries());
  const expected = contentAfter(steps);
  for (const [key, value] of expected) {
    if (found.get(key) !== value) throw new Error(`"${key}" is ${found.get(key)} instead of ${value}`);
  }
  for (const key of found.keys()) {
    if (!expected.has(key)) throw new Error(`"${key}" is there, and was removed`);
  }
}

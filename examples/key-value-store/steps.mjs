/**
 * The steps of the writers. A step is a function of its number, so the number of steps alone determines the whole content
 * that a store must have.
 */
export const WRITERS = 16;

const KEYS = 200;

/** Holds the number of the writer's last step. */
export const stepKey = (writer) => `${writer}/step`;

/** One atomic change: records the writer's position, sets a value, and removes one that an earlier step has set. */
export function stepOf(writer, step) {
  return [
    { key: stepKey(writer), value: step },
    {
      key: `${writer}/${step % KEYS}`,
      value: `value of step ${step} `.padEnd(20 + ((step * 37) % 200), '.'),
    },
    { key: `${writer}/${(step * 7 + 3) % KEYS}` },
  ];
}

/** The content after `steps[writer]` steps of each writer. */
export function contentAfter(steps) {
  const content = new Map();
  for (const [writer, last] of steps.entries()) {
    // Within so many steps each key was set or removed, so earlier steps do not matter.
    for (let step = Math.max(1, last - 2 * KEYS); step <= last; step++) {
      for (const { key, value } of stepOf(writer, step)) {
        if (value === undefined) content.delete(key);
        else content.set(key, value);
      }
    }
  }
  return content;
}

/**
 * What the writers of the load do. A step is a function of its number, so that from the number of steps alone one knows the
 * whole content that a store must have.
 */
export const WRITERS = 16;

const KEYS = 200;

/** Holds the number of the writer's last step. */
export const stepKey = (writer) => `${writer}/step`;

/** One atomic change: how far the writer is, a value set, and one removed that an earlier step has set. */
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
    // Each key was set or removed within so many steps, whatever came before.
    for (let step = Math.max(1, last - 2 * KEYS); step <= last; step++) {
      for (const { key, value } of stepOf(writer, step)) {
        if (value === undefined) content.delete(key);
        else content.set(key, value);
      }
    }
  }
  return content;
}

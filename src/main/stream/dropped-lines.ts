/**
 * The entry that takes the place of `count` dropped lines. Tools for pino's lines understand it (level 40 is a
 * warning).
 */
export function describeDrops(count: number): string {
  const lines = count === 1 ? '1 line' : `${count} lines`;
  return JSON.stringify({
    level: 40,
    time: Date.now(),
    msg: `ringwal dropped ${lines} here`,
    dropped: count,
  });
}

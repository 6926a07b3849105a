/** The entry that stands where `count` lines are missing: one that tools for pino's lines understand (40 is a warning). */
export function describeDrops(count: number): string {
  const lines = count === 1 ? '1 line' : `${count} lines`;
  return JSON.stringify({
    level: 40,
    time: Date.now(),
    msg: `ringwal dropped ${lines} here`,
    dropped: count,
  });
}

/**
 * Reads a log from its beginning: entry n must be line n, byte for byte.
 *
 * @returns how many entries it holds
 */
export async function compareWithLines(log, lines) {
  let found = 0;
  for await (const entries of log.batches()) {
    for (const { lsn, data } of entries) {
      if (lsn !== found + 1) throw new Error(`entry ${lsn} follows entry ${found} in the log`);
      if (found === lines.count) throw new Error(`the file has ${lines.count} lines, but the log goes on`);
      if (!lines.equals(found, data)) throw new Error(`entry ${lsn} differs from line ${lsn} of the file`);
      found += 1;
    }
  }
  return found;
}

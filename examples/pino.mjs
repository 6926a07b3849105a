/**
 * pino writes into a log. Each line is an entry, the program does not wait for the disk, and no line is lost when the process
 * exits, throws or gets SIGTERM.
 *
 *   node examples/pino.mjs [DIR]     default: ringwal-pino in the system's temporary directory
 *
 * Run it twice: the second run finds the lines of the first.
 */
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { Wal } from 'ringwal';

const directory = process.argv[2] ?? join(tmpdir(), 'ringwal-pino');

// Keeps the last 256 MB of lines.
const wal = await Wal.open(directory, { maxFileSize: 16 * 2 ** 20, maxTotalSize: 256 * 2 ** 20 });
console.log(`${wal.lastLsn} lines from earlier runs`);

// 'drop': a logger never waits. Lines that find no room are counted, and an entry tells how many are missing there.
const stream = wal.createLogStream({ onFull: 'drop' });
stream.on('error', (error) => console.error(`Log: ${error.message}`));
const logger = pino({ base: { pid: process.pid } }, stream);

// process.exit() is enough: the log makes every line durable before the process ends.
process.once('SIGTERM', () => process.exit(0));

logger.info('started');
for (let request = 1; request <= 1000; request++) {
  logger.child({ request }).info({ status: 200 }, 'request completed');
}
logger.warn(new Error('a warning with its stack'), 'something odd');

// Makes the lines durable now, for a program that must be sure before it continues.
await new Promise((resolve, reject) => {
  logger.flush((error) => (error ? reject(error) : resolve()));
});
console.log(`${wal.durableLsn} lines are durable, ${stream.dropped} were dropped`);

// Reads the newest first, as for a page that shows recent events.
for await (const { lsn, data } of wal.entries({ reverse: true })) {
  const { level, msg } = JSON.parse(Buffer.from(data).toString());
  console.log(`#${lsn} ${pino.levels.labels[level]}: ${msg}`);
  if (lsn <= wal.lastLsn - 2) break;
}

logger.info('exits');
process.exit();

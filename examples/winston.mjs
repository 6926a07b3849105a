/**
 * winston writes into a log with its transport for streams.
 *
 *   node examples/winston.mjs [DIR]     default: ringwal-winston in the system's temporary directory
 */
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Wal } from 'ringwal';
import winston from 'winston';

const directory = process.argv[2] ?? join(tmpdir(), 'ringwal-winston');
const wal = await Wal.open(directory);
const stream = wal.createLogStream();
stream.on('error', (error) => console.error(`Log: ${error.message}`));

const logger = winston.createLogger({
  level: 'info',
  format: winston.format.combine(winston.format.timestamp(), winston.format.json()),
  // One newline for each line, on every platform.
  transports: [new winston.transports.Stream({ stream, eol: '\n' })],
});

logger.info('started');
for (let order = 1; order <= 500; order++) logger.info('order taken', { order });
logger.debug('below the level');
logger.error('not paid', { order: 17 });

// winston passes lines through streams of its own. Once it has finished, the log has all of them.
logger.end();
await once(logger, 'finish');
// Makes its lines durable; the log stays open.
stream.end();
await once(stream, 'finish');
console.log(`${wal.durableLsn} lines are durable`);

for await (const { data } of wal.entries({ reverse: true, to: wal.lastLsn })) {
  const { level, message, order } = JSON.parse(Buffer.from(data).toString());
  console.log(`${level}: ${message} (order ${order})`);
  break;
}
await wal.close();

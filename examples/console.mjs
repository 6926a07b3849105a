/**
 * A program's `console.log` writes into a log instead of the terminal, also while the program crashes.
 *
 *   node examples/console.mjs [DIR]           default: ringwal-console in the system's temporary directory
 *   node examples/console.mjs [DIR] --show    prints the entries of the log
 */
import { Console } from 'node:console';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Wal } from 'ringwal';

const [directory = join(tmpdir(), 'ringwal-console'), show] = process.argv.slice(2);

if (show === '--show') {
  const reader = await Wal.open(directory, { readOnly: true });
  for await (const { lsn, data } of reader.entries()) console.log(`${lsn}\t${Buffer.from(data)}`);
  await reader.close();
  process.exit();
}

const wal = await Wal.open(directory);
const terminal = globalThis.console;
const stream = wal.createLogStream();
stream.on('error', (error) => terminal.error(`Log: ${error.message}`));
globalThis.console = new Console(stream);

console.log('started with %d arguments', process.argv.length);
console.table([{ item: 'tea', quantity: 2 }]);
console.error(new Error('an error, with its stack'));
console.group('a group');
console.log('is indented');
console.groupEnd();

terminal.log(`${wal.stats().accepted} lines went into ${directory}; it crashes now`);
process.on('uncaughtExceptionMonitor', (error) => console.error(`crashed: ${error.message}`));
setImmediate(() => {
  throw new Error('nobody catches this');
});

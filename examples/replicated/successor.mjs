/** The second machine: takes over, appends one entry, and says what the log holds. */
import { Wal } from 'ringwal';
import { postgres } from 'ringwal/postgres';

const [directory, connectionString] = process.argv.slice(2);
const startedMs = performance.now();
const wal = await Wal.takeOver(directory, { replica: postgres({ connectionString }) });
await wal.append('the successor was here', { durable: 'replicated' });
const takeoverMs = performance.now() - startedMs;

const lines = [];
for await (const { lsn, data } of wal.entries()) lines.push(`${lsn} ${Buffer.from(data)}\n`);
process.stdout.write(`${JSON.stringify({ takeoverMs, epoch: wal.replica.epoch })}\n${lines.join('')}`);
await wal.close();

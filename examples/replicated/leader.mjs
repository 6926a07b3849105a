/** The first machine: appends payments, and says of each one when it is acknowledged as replicated. */
import { Wal } from 'ringwal';
import { postgres } from 'ringwal/postgres';

const [directory, connectionString] = process.argv.slice(2);
const wal = await Wal.open(directory, { replica: postgres({ connectionString }), onError() {} });

const WRITERS = 16;
let payments = 0;

async function pay() {
  for (;;) {
    const text = `payment ${++payments}`;
    const startedMs = performance.now();
    const lsn = await wal.append(text, { durable: 'replicated' });
    process.stdout.write(`${lsn} ${(performance.now() - startedMs).toFixed(3)} ${text}\n`);
  }
}

await Promise.all(Array.from({ length: WRITERS }, pay));

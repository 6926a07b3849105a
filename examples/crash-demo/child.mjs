/**
 * The process that is killed. It appends each line of its input to the log in DIR, and writes to its output how many are
 * acknowledged, one number in each line. Try it by hand: `node examples/crash-demo/child.mjs DIR`.
 */
import { Wal } from 'ringwal';
import { AppendWindow, LOG_OPTIONS } from './append-window.mjs';
import { linesOf } from './lines.mjs';

const wal = await Wal.open(process.argv[2], LOG_OPTIONS);
let acknowledged = 0;
let isTelling = false;

const window = new AppendWindow(wal, (lsn) => {
  // In a new log, filled by one thread, the LSN is the number of the line.
  if (lsn !== acknowledged + 1) throw new Error(`line ${acknowledged + 1} became entry ${lsn}`);
  acknowledged = lsn;
  if (isTelling) return;
  isTelling = true;
  setImmediate(tell); // once for all that one fsync acknowledged
});

tell();
for await (const line of linesOf(process.stdin)) {
  if (!window.hasRoom(line.length)) await window.room(line.length);
  window.append(line);
}
await window.idle();
await wal.close();

/** A line counts here only once it is durable: if the process is killed, the last number is too small, never too large. */
function tell() {
  isTelling = false;
  process.stdout.write(`${acknowledged}\n`);
}

/**
 * Shows in a few seconds what a write-ahead log is for:
 *
 *   npm start [-- FILE]          FILE: any file; default: this repository's package-lock.json
 *
 * A child process appends the lines of FILE to a log and is killed while it appends. Then this program opens the log again.
 * Every line that the child reported as acknowledged must be there, in order. Once the rest is appended, the log must
 * equal FILE byte for byte. The exit code is 0 only if all of that was proven.
 *
 * This program shows a killed process. The test suite shows power cuts, on a simulated disk.
 */
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { AppendWindow, LOG_OPTIONS } from './crash-demo/append-window.mjs';
import { compareWithLines } from './crash-demo/compare.mjs';
import { crash } from './crash-demo/crash.mjs';
import { Lines } from './crash-demo/lines.mjs';
import { measure } from './crash-demo/measure.mjs';
import { closeLogs, openLog } from './crash-demo/open-logs.mjs';
import { bad, field, good, integer, ms, Progress, plural, say, title } from './crash-demo/terminal.mjs';

// npm runs scripts in the package's directory; INIT_CWD is where the user is.
const file = process.argv[2]
  ? resolve(process.env.INIT_CWD ?? '.', process.argv[2])
  : fileURLToPath(new URL('../package-lock.json', import.meta.url));
const name = basename(file);
const lines = readLines();

const directory = mkdtempSync(join(tmpdir(), 'ringwal-demo-'));
const log = join(directory, 'log');
removeAfterSignal('SIGINT');
removeAfterSignal('SIGTERM');
removeAfterSignal('SIGHUP');

let child;
let isInterrupted = false;
try {
  title(`ringwal, killed in the middle of ${name}`);
  field('file', `${plural(lines.count, 'line')}, ${plural(lines.bytes.length, 'byte')}`);
  field('log', `${log}, removed at the end`);

  const { given, acknowledged } = await killTheChild();
  await recover(given, acknowledged);
  await replay();
  say();
  say(good(`Proven: the log equals ${name}, byte for byte;`));
  say(
    good(
      acknowledged > 0
        ? `none of ${plural(acknowledged, 'acknowledged line')} was lost.`
        : 'the kill came before a line was acknowledged: there was none to lose.',
    ),
  );
  await measure(join(directory, 'measured'), lines);
  removeDirectory();
} catch (error) {
  if (!isInterrupted) tellOf(error);
}

function tellOf(error) {
  say();
  console.error(error);
  console.error(bad(`FAILED: ${error.message}`));
  console.error(`The log is kept in ${directory}.`);
  process.exitCode = 1;
}

async function killTheChild() {
  title('1  A child appends the lines with `durable: true`, and is killed by SIGKILL');
  const progress = new Progress('acknowledged', lines.count);
  const { given, acknowledged } = await crash(log, lines, {
    onStart: (started) => {
      child = started;
    },
    onProgress: (count) => progress.show(count),
  });
  progress.end(acknowledged);
  field(
    'killed',
    `it had been given ${plural(given, 'line')}, and had acknowledged ${integer(acknowledged)}`,
  );
  return { given, acknowledged };
}

async function recover(given, acknowledged) {
  title('2  The log is opened again');
  const wal = await openLog(log, LOG_OPTIONS);
  const { recovery } = wal;
  field(
    'recovery',
    `${plural(recovery.lastLsn, 'entry', 'entries')}, ${endOf(recovery)}; took ${ms(recovery.durationMs)}`,
  );
  if (recovery.rewrittenBytes > 0) {
    const unsynced = plural(recovery.lastLsn - recovery.watermark, 'entry', 'entries');
    field('', `${unsynced} above the last known fsync, written and synced anew`);
  }

  const found = await compareWithLines(wal, lines);
  if (found < acknowledged) {
    throw new Error(`${plural(acknowledged, 'line')} acknowledged, but the log ends after line ${found}`);
  }
  if (found > given)
    throw new Error(`the child was given ${plural(given, 'line')}, but the log holds ${found}`);
  field('proof', good(`each of ${plural(acknowledged, 'acknowledged line')} is there, in order`));
  if (found > acknowledged)
    field('', `and ${integer(found - acknowledged)} more, whose acknowledgement the kill cut off`);

  title('3  The rest is appended');
  const progress = new Progress('acknowledged', lines.count, found);
  const window = new AppendWindow(wal, (lsn) => progress.show(lsn));
  for (let line = found; line < lines.count; line++) {
    const data = lines.at(line);
    if (!window.hasRoom(data.length)) await window.room(data.length);
    window.append(data);
  }
  await window.idle();
  progress.end(lines.count);
  await wal.close();
}

async function replay() {
  title(`4  The log is opened once more, and compared with ${name}`);
  const startedAt = performance.now();
  const reader = await openLog(log, { readOnly: true });
  const found = await compareWithLines(reader, lines);
  await reader.close();
  // Each entry equals its line, and the lines put together are the file.
  if (found !== lines.count)
    throw new Error(`the file has ${plural(lines.count, 'line')}, but the log holds ${found}`);
  const took = ms(performance.now() - startedAt);
  field(
    'proof',
    good(
      `${plural(found, 'entry', 'entries')}, ${plural(lines.bytes.length, 'byte')}: identical; took ${took}`,
    ),
  );
}

function endOf({ cut }) {
  if (cut === undefined) return 'a clean end';
  return `a torn tail: ${plural(cut.bytes, 'byte')} cut (${cut.reason}), kept in ${cut.sideFiles.map((path) => basename(path)).join(', ')}`;
}

function readLines() {
  try {
    return new Lines(readFileSync(file));
  } catch (error) {
    console.error(`Cannot read the file: ${error.message}`);
    console.error('Usage: npm start [-- FILE]');
    process.exit(2);
  }
}

/** Closes first: the threads of a log that is open, or being opened, would go on making files. */
function removeAfterSignal(signal) {
  process.once(signal, async () => {
    isInterrupted = true;
    if (child !== undefined && child.exitCode === null && child.signalCode === null) {
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    await closeLogs();
    removeDirectory();
    process.exit(128 + constants.signals[signal]);
  });
}

function removeDirectory() {
  rmSync(directory, { recursive: true, force: true });
}

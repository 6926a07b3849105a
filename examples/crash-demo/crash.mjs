import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const CHILD = fileURLToPath(new URL('./child.mjs', import.meta.url));
const STEPS = 100;
const STEP_MS = 10;

/**
 * Feeds lines to a child process that appends them to a log, and kills it at a random moment in the middle.
 *
 * The kill comes in the middle on a machine of any speed: some lines are acknowledged before the kill, and the child never
 * gets the last ones. (If there is only one line, the kill may come before or after it.)
 *
 * @returns how many lines the child was `given`, and how many it had `acknowledged`
 */
export async function crash(log, lines, { onStart, onProgress }) {
  const child = spawn(process.execPath, [CHILD, log], { stdio: ['pipe', 'pipe', 'inherit'] });
  onStart(child);
  const closed = once(child, 'close'); // it has ended, and all of its output is read
  let isAlive = true;
  child.once('exit', () => {
    isAlive = false;
  });
  child.stdin.on('error', () => {}); // it died earlier than asked: its exit code says more

  let isReady = false;
  let acknowledged = 0;
  createInterface(child.stdout).on('line', (count) => {
    isReady = true;
    acknowledged = Number(count);
  });
  let given = 0;
  const giveUpTo = (end) => {
    if (end <= given) return;
    child.stdin.write(lines.slice(given, end));
    given = end;
  };

  const [most, enough] = chooseMoment(lines.count);
  const step = Math.ceil(lines.count / STEPS);
  while (isAlive && (!isReady || acknowledged < enough)) {
    // A small file takes about a second at most, so that the progress can be seen; a large one goes as fast as it can.
    if (isReady && given - acknowledged <= 2 * step) giveUpTo(Math.min(given + step, most));
    await delay(STEP_MS);
    onProgress(acknowledged);
  }
  // Gives the child the rest of its lines at once, so that it is busy when the kill comes.
  giveUpTo(most);
  await delay(Math.random() * 4);
  const wasAlive = isAlive;
  child.kill('SIGKILL');
  const [exitCode, signal] = await closed;
  if (!wasAlive || signal !== 'SIGKILL') {
    throw new Error(`the child ended before it was killed (${signal ?? `exit code ${exitCode}`})`);
  }
  return { given, acknowledged };
}

/** How many lines the child gets at most, and after how many acknowledged ones it may be killed. */
function chooseMoment(count) {
  if (count < 2) return [count, 0];
  const most = count - Math.ceil(count / 10);
  return [most, Math.ceil((0.2 + 0.5 * Math.random()) * most)];
}

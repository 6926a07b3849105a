import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const LOAD = fileURLToPath(new URL('./load.mjs', import.meta.url));
const LOAD_MS_MAX = 700;

/**
 * Puts the store in `directory` under load in a process of its own, and kills it at a random moment.
 *
 * @param before the last step of each writer so far
 * @returns the last `acknowledged` step of each writer, and how long the load went on
 */
export async function killUnderLoad(directory, before) {
  const child = spawn(process.execPath, [LOAD, directory], { stdio: ['ignore', 'pipe', 'inherit'] });
  const closed = once(child, 'close'); // it has ended, and all of its output is read
  const acknowledged = [...before];
  const lines = createInterface(child.stdout).on('line', (line) => {
    const [writer, step] = line.split(' ').map(Number);
    acknowledged[writer] = step;
  });
  await Promise.race([once(lines, 'line'), closed]);
  const startedAt = performance.now();
  await Promise.race([delay(Math.random() * LOAD_MS_MAX), closed]);
  child.kill('SIGKILL');
  const loadMs = performance.now() - startedAt;
  const [exitCode, signal] = await closed;
  if (signal !== 'SIGKILL') throw new Error(`the child ended by itself, with exit code ${exitCode}`);
  return { acknowledged, loadMs };
}

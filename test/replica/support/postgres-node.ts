import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  appendFileSync,
  chownSync,
  cpSync,
  lchownSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import pg from 'pg';
import { cleanUp } from '../../cleanup.js';
import { postgresBinaries } from './postgres-binaries.js';

const run = promisify(execFile);

type Test = Parameters<typeof cleanUp>[0];

/** PostgreSQL refuses to run as root. */
const OTHER_USER = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};
const PASSWORD = 'wonderland';

/** A PostgreSQL server of a test, in a temporary directory, on a port of its own. */
export class PostgresNode {
  readonly port: number;
  readonly directory: string;
  readonly name: string;
  #server: ChildProcess | undefined;
  #exited: Promise<unknown> = Promise.resolve();
  #output = '';

  private constructor(name: string, directory: string, port: number) {
    this.name = name;
    this.directory = directory;
    this.port = port;
  }

  /** A primary that is its own master: no standby, nothing is synchronous yet. */
  static async primary(t: Test): Promise<PostgresNode> {
    const node = await PostgresNode.#prepare(t, 'primary');
    await runAsOther('initdb', [
      ...['-D', node.directory, '-U', 'ringwal', '--no-sync', '-E', 'UTF8', '--locale=C'],
      ...['--auth-local=trust', '--auth-host=scram-sha-256', `--pwfile=${passwordFile(node.directory)}`],
    ]);
    appendFileSync(join(node.directory, 'pg_hba.conf'), 'host replication all 127.0.0.1/32 scram-sha-256\n');
    node.#configure({
      wal_level: 'replica',
      max_wal_senders: 8,
      wal_receiver_timeout: '2s',
      wal_sender_timeout: '2s',
    });
    await node.start();
    return node;
  }

  /** A standby of `primary`, which is stopped for the copy. `through`: the port that it connects to, if a proxy is between. */
  static async standby(
    t: Test,
    primary: PostgresNode,
    { name = 'standby', through = primary.port } = {},
  ): Promise<PostgresNode> {
    const node = await PostgresNode.#prepare(t, name);
    await primary.stop();
    cpSync(primary.directory, node.directory, { recursive: true });
    ownByOther(node.directory);
    const source = `host=127.0.0.1 port=${through} user=ringwal password=${PASSWORD} application_name=${name}`;
    node.#configure({ primary_conninfo: source, hot_standby: 'on', synchronous_standby_names: '' });
    writeFileSync(join(node.directory, 'standby.signal'), '');
    await primary.start();
    await node.start();
    return node;
  }

  get url(): string {
    return `postgresql://ringwal:${PASSWORD}@127.0.0.1:${this.port}/postgres`;
  }

  get pid(): number {
    return this.#server?.pid ?? 0;
  }

  async start(): Promise<void> {
    const server = spawn(join(postgresBinaries() as string, 'postgres'), ['-D', this.directory], {
      ...OTHER_USER,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#server = server;
    const note = (text: string) => {
      this.#output = `${this.#output}${text}`.slice(-20_000);
    };
    server.stdout?.setEncoding('utf8').on('data', note);
    server.stderr?.setEncoding('utf8').on('data', note);
    this.#exited = new Promise((resolve) => server.once('exit', resolve));
    await this.#untilReady(server);
  }

  /** Orderly. */
  async stop(): Promise<void> {
    this.#server?.kill('SIGINT');
    await this.#exited;
  }

  /** As a power cut of the machine ends it: no process of the server gets to say anything. */
  async kill(): Promise<void> {
    this.signalAll('SIGKILL');
    await this.#exited;
  }

  /** To the server and all processes that it has started. */
  signalAll(signal: NodeJS.Signals): void {
    const { pid } = this;
    if (pid === 0 || this.#server?.exitCode !== null || this.#server.signalCode !== null) return;
    for (const each of [pid, ...childrenOf(pid)]) kill(each, signal);
  }

  async promote(): Promise<void> {
    await this.query('SELECT pg_promote(true, 30)');
    await this.#until('SELECT NOT pg_is_in_recovery() AS done');
  }

  /** Changes settings of the running server. */
  async set(settings: Record<string, string>): Promise<void> {
    for (const [name, value] of Object.entries(settings))
      await this.query(`ALTER SYSTEM SET ${name} = '${value}'`);
    await this.query('SELECT pg_reload_conf()');
    for (const [name, value] of Object.entries(settings))
      await this.#until(`SELECT current_setting('${name}') = '${value}' AS done`);
  }

  /** Waits until `standby` is synchronous. */
  async makeSynchronous(standby: PostgresNode): Promise<void> {
    await this.set({ synchronous_standby_names: standby.name });
    await this.#until(
      `SELECT count(*) = 1 AS done FROM pg_stat_replication WHERE application_name = '${standby.name}' AND sync_state = 'sync'`,
    );
  }

  /** Waits until `standby` streams, synchronously or not. */
  async untilStreaming(standby: PostgresNode): Promise<void> {
    await this.#until(
      `SELECT count(*) = 1 AS done FROM pg_stat_replication WHERE application_name = '${standby.name}' AND state = 'streaming'`,
    );
  }

  /** Waits until `standby` has everything that is written here now. */
  async untilCaughtUp(standby: PostgresNode): Promise<void> {
    const [row] = await this.query('SELECT pg_current_wal_lsn() AS lsn');
    await this.#until(
      `SELECT count(*) = 1 AS done FROM pg_stat_replication WHERE application_name = '${standby.name}' AND flush_lsn >= '${row?.lsn}'`,
    );
  }

  /** On a connection of its own, which waits for nothing: settings and the state of the server. */
  async query(text: string): Promise<Record<string, unknown>[]> {
    const client = new pg.Client({ connectionString: this.url });
    client.on('error', () => {});
    await client.connect();
    try {
      await client.query('SET synchronous_commit = local');
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  }

  async #until(text: string): Promise<void> {
    for (;;) {
      const [row] = await this.query(text);
      if (row?.done === true) return;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }

  async #untilReady(server: ChildProcess): Promise<void> {
    for (;;) {
      if (server.exitCode !== null) throw new Error(`PostgreSQL did not start:\n${this.#output}`);
      try {
        await this.query('SELECT 1');
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
  }

  #configure(settings: Record<string, string | number>): void {
    const lines = Object.entries(settings).map(([name, value]) => `${name} = '${value}'\n`);
    appendFileSync(
      join(this.directory, 'postgresql.conf'),
      `port = ${this.port}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\n` +
        `fsync = off\nfull_page_writes = off\nshared_buffers = 16MB\nmax_connections = 30\n${lines.join('')}`,
    );
  }

  static async #prepare(t: Test, name: string): Promise<PostgresNode> {
    const directory = mkdtempSync(join(tmpdir(), `ringwal-postgres-${name}-`));
    ownByOther(directory);
    const node = new PostgresNode(name, directory, await freePort());
    cleanUp(t, async () => {
      node.signalAll('SIGCONT');
      await node.kill();
      rmSync(directory, { recursive: true, force: true });
      rmSync(`${directory}.password`, { force: true });
    });
    return node;
  }
}

async function runAsOther(command: string, args: string[]): Promise<void> {
  await run(join(postgresBinaries() as string, command), args, { ...OTHER_USER, env: { LC_ALL: 'C' } });
}

function passwordFile(directory: string): string {
  const file = `${directory}.password`;
  writeFileSync(file, `${PASSWORD}\n`);
  if (OTHER_USER.uid !== undefined) chownSync(file, OTHER_USER.uid, OTHER_USER.gid);
  return file;
}

function ownByOther(directory: string): void {
  const { uid, gid } = OTHER_USER;
  if (uid === undefined) return;
  chownSync(directory, uid, gid);
  for (const name of readdirSync(directory, { recursive: true, encoding: 'utf8' }))
    lchownSync(join(directory, name), uid, gid);
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

function childrenOf(pid: number): number[] {
  return readdirSync('/proc').flatMap((name) => {
    const child = Number(name);
    return Number.isInteger(child) && parentOf(child) === pid ? [child] : [];
  });
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    // It has ended meanwhile.
    return 0;
  }
}

function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    if ((error as { code?: string }).code !== 'ESRCH') throw error;
  }
}

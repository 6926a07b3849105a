import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Option } from 'commander';
import type { ReplicaAdapter } from '../../index.js';
import { CliError, ExitCode } from '../errors/exit-code.js';

/** Where the module of `ringwal/postgres` lies: beside the command. */
let postgresModule = new URL('./postgres.js', import.meta.url);

/** For a command that lies elsewhere. */
export function usePostgresModule(file: URL): void {
  postgresModule = file;
}

const VARIABLE = 'RINGWAL_REPLICA';

export const replicaOption = () =>
  new Option(
    '--replica <where>',
    `postgresql://…, or a module that exports an adapter; default: ${VARIABLE} of the environment`,
  );

export const logIdOption = () =>
  new Option('--log-id <id>', 'which log of the replica, if it holds several: 16 hexadecimal digits');

/** A replica that the command line or the environment names; `undefined`: neither does. */
export async function replicaOf(where: string | undefined): Promise<ReplicaAdapter | undefined> {
  const named = where ?? process.env[VARIABLE];
  if (named === undefined || named === '') return undefined;
  if (/^postgres(ql)?:\/\//.test(named))
    return { module: postgresModule.href, options: { connectionString: named } };
  if (!existsSync(named)) {
    // It may be an address with a password: it is not shown.
    throw new CliError(
      ExitCode.usage,
      '--replica takes an address postgresql://… or the file of a module that exports an adapter.',
    );
  }
  const loaded: { default?: unknown } = await import(pathToFileURL(resolve(named)).href);
  return loaded.default as ReplicaAdapter;
}

/** @throws if none is named */
export async function expectReplica(where: string | undefined): Promise<ReplicaAdapter> {
  const adapter = await replicaOf(where);
  if (adapter !== undefined) return adapter;
  throw new CliError(
    ExitCode.usage,
    `Name the replica with --replica, or in the environment variable ${VARIABLE}.`,
  );
}

/** Makes the tables of a PostgreSQL database. */
export async function createTables({ module, options }: ReplicaAdapter): Promise<void> {
  if (module !== postgresModule.href)
    throw new CliError(
      ExitCode.usage,
      '`ringwal replica init` makes the tables of a PostgreSQL database: --replica postgresql://…',
    );
  const {
    createTables: create,
  }: { createTables: (options: unknown, context: { timeoutMs: number }) => Promise<void> } = await import(
    module
  );
  await create(options, { timeoutMs: 30_000 });
}

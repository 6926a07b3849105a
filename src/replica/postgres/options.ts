import { ReplicaError } from '../replica.js';

/** Options of {@link postgres}. Exactly one of `connectionString` and `module` is given. */
export interface PostgresOptions {
  /** As `pg` takes it: `postgresql://user:password@host:5432/database`. It must lead to the primary, also after a failover. */
  readonly connectionString?: string | undefined;
  /**
   * A module whose default export is a function that returns the configuration of `pg`'s `Client`, or a promise of it. It is called
   * before each connection, on the thread that ships the log: so it may fetch a password that rotates. A `file:` URL or an absolute
   * path.
   */
  readonly module?: string | URL | undefined;
  /**
   * What makes a commit durable beyond the machine. `'standby'`: a synchronous standby; every answer is checked for it. `'storage'`: you
   * attest that the service replicates its storage before a commit returns (as some managed ones do), and no standby is asked for.
   *
   * @defaultValue `'standby'`
   */
  readonly durability?: 'standby' | 'storage' | undefined;
}

export interface CheckedPostgresOptions {
  readonly connectionString: string | undefined;
  readonly module: string | undefined;
  readonly durability: 'standby' | 'storage';
}

const KNOWN: readonly string[] = [
  'connectionString',
  'module',
  'durability',
] satisfies (keyof PostgresOptions)[];

/** @throws ReplicaError ERR_WAL_OPTION */
export function checkPostgresOptions(options: unknown): CheckedPostgresOptions {
  if (typeof options !== 'object' || options === null) throw wrong('postgres() takes an object of options.');
  const unknown = Object.keys(options).find((name) => !KNOWN.includes(name));
  if (unknown !== undefined)
    throw wrong(`Unknown option "${unknown}" of postgres(). Known: ${KNOWN.join(', ')}.`);
  const { connectionString, module, durability = 'standby' } = options as PostgresOptions;
  if ((connectionString === undefined) === (module === undefined))
    throw wrong('postgres() takes either connectionString or module.');
  if (connectionString !== undefined && (typeof connectionString !== 'string' || connectionString === ''))
    throw wrong('connectionString of postgres() must be a text that is not empty.');
  if (module !== undefined && typeof module !== 'string' && !(module instanceof URL))
    throw wrong('module of postgres() must be a path or a file: URL.');
  if (durability !== 'standby' && durability !== 'storage')
    throw wrong("durability of postgres() must be 'standby' or 'storage'.");
  return { connectionString, module: module === undefined ? undefined : String(module), durability };
}

function wrong(message: string): ReplicaError {
  return new ReplicaError('ERR_WAL_OPTION', message);
}

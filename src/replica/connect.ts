import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import {
  type ConnectReplica,
  type Replica,
  type ReplicaAdapter,
  type ReplicaContext,
  ReplicaError,
} from './replica.js';

/** Loads an adapter on this thread. @throws ReplicaError ERR_WAL_OPTION: the module is no adapter; what the module throws */
export async function connectReplica(
  { module, options }: ReplicaAdapter,
  context: ReplicaContext,
): Promise<Replica> {
  const url = isAbsolute(module) ? pathToFileURL(module).href : module;
  const loaded: { connect?: unknown; default?: { connect?: unknown } } = await import(url);
  const connect = loaded.connect ?? loaded.default?.connect;
  if (typeof connect !== 'function')
    throw new ReplicaError(
      'ERR_WAL_OPTION',
      `The module "${module}" does not export connect(): it is no adapter.`,
    );
  return (connect as ConnectReplica)(options, context);
}

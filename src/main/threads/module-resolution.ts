import { delimiter, sep } from 'node:path';
import { resolveModule } from '../../files/package-modules.js';

/** Modules that the package's own code loads from `node_modules`, on any thread. */
const LOADED_BY_THREADS = ['fs-native-extensions', 'crc-32'];

/** The options of a thread that its module resolution depends on. */
export interface ThreadResolution {
  readonly env: Record<string, string>;
  readonly execArgv: string[];
}

/**
 * The options with which a thread finds the modules that the calling thread finds. Threads of the package get nothing
 * else from the environment and the flags of the process.
 *
 *   Yarn PnP               the thread loads `.pnp.cjs` before anything else, as the process did
 *   --preserve-symlinks    the thread has the flag
 *   NODE_PATH              the thread has it, and in addition each `node_modules` in which this thread finds a dependency:
 *                          so a hook that finds modules elsewhere (`--require`) is not needed in the thread
 */
export function threadResolution(): ThreadResolution {
  const execArgv: string[] = [];
  if (process.versions.pnp !== undefined) execArgv.push('--require', resolveModule('pnpapi'));
  // The second flag is for the thread's own file.
  if (preservesSymlinks()) execArgv.push('--preserve-symlinks', '--preserve-symlinks-main');
  const paths = [process.env.NODE_PATH, ...LOADED_BY_THREADS.map(folderOf)];
  const nodePath = [...new Set(paths.filter((path) => path !== undefined && path !== ''))].join(delimiter);
  return { env: nodePath === '' ? {} : { NODE_PATH: nodePath }, execArgv };
}

/** Does a thread with these options look where this thread finds `name`? */
export function isWithinReach(name: string): boolean {
  return LOADED_BY_THREADS.includes(name) && folderOf(name) !== undefined;
}

function preservesSymlinks(): boolean {
  const flags = [...process.execArgv, ...(process.env.NODE_OPTIONS ?? '').split(/\s+/)];
  return flags.includes('--preserve-symlinks') || process.env.NODE_PRESERVE_SYMLINKS === '1';
}

/** The folder in which `name` is found; `undefined` if `NODE_PATH` cannot name it. */
function folderOf(name: string): string | undefined {
  let file: string;
  try {
    file = resolveModule(name);
  } catch {
    // The thread does not find it either, and reports that.
    return undefined;
  }
  const at = file.lastIndexOf(`${sep}node_modules${sep}${name}${sep}`);
  return at < 0 ? undefined : `${file.slice(0, at)}${sep}node_modules`;
}

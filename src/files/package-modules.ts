/** Modules of `node_modules` that the package loads while it runs, each on first use. */
import { closeSync, existsSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { URL } from 'node:url';
import { fileURLToPath } from 'node:url';
import { isOutOfDescriptors } from './disk.js';

/**
 * Loads a module as a `require` in the package's own file does, and not by `import()`: test runners that load code by `node:vm`
 * (Jest) do not support that in CommonJS, and Node caches a failed `import()`.
 *
 * @throws Node's error for a module that is missing or fails; EMFILE, ENFILE: no descriptor is free
 */
export function loadModule(name: string): unknown {
  assertReadable();
  return requireHere()(name);
}

/** The path of the file that [loadModule] would load. @throws as [loadModule] */
export function resolveModule(name: string): string {
  assertReadable();
  return requireHere().resolve(name);
}

/**
 * In a CommonJS bundle `import.meta.url` is missing and `__filename` is the module's. Elsewhere `__filename` may be a global with
 * another meaning ('[eval]'), so it comes second.
 */
function requireHere(): NodeJS.Require {
  return createRequire(import.meta.url ?? __filename);
}

/**
 * Node treats a `package.json` as missing if it has no descriptor to open it with, and caches that: the module would not be found
 * later. One free descriptor is enough, since Node reads one file after the other.
 */
function assertReadable(): void {
  const file = import.meta.url === undefined ? __filename : fileURLToPath(import.meta.url);
  try {
    closeSync(openSync(file, 'r'));
  } catch (error) {
    if (isOutOfDescriptors(error)) throw error;
    // The file is in an archive, or has gone: Node reports whether modules can be loaded without it.
  }
}

/** Is there a file of the package at `url`? */
export function isPackageFile(url: URL): boolean {
  return existsSync(url);
}

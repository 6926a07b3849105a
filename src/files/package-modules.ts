/** Modules of `node_modules` that the package loads while it runs, each on first use. */
import { closeSync, openSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isOutOfDescriptors } from './disk.js';

/**
 * Loads a module as a `require` in the package's own file does, and not by `import()`: test runners that load code by `node:vm`
 * (Jest) support none in CommonJS, and Node remembers an `import()` that failed.
 *
 * @throws what Node says of a module that is missing or fails; EMFILE, ENFILE: no descriptor is free
 */
export function loadModule(name: string): unknown {
  assertReadable();
  return requireHere()(name);
}

/** The file that [loadModule] would load. @throws as it does */
export function resolveModule(name: string): string {
  assertReadable();
  return requireHere().resolve(name);
}

/** In a CommonJS bundle `import.meta.url` is missing and `__filename` is the module's; elsewhere that may be a global of the wrong meaning ('[eval]'), so it comes second. */
function requireHere(): NodeJS.Require {
  return createRequire(import.meta.url ?? __filename);
}

/**
 * Node takes a `package.json` that it finds no descriptor for as missing, and remembers that: the module would not be found any
 * more when there are some. One that is free is enough, since Node reads one file after the other.
 */
function assertReadable(): void {
  const file = import.meta.url === undefined ? __filename : fileURLToPath(import.meta.url);
  try {
    closeSync(openSync(file, 'r'));
  } catch (error) {
    if (isOutOfDescriptors(error)) throw error;
    // The file is in an archive, or is gone: whether modules can be loaded without it Node says.
  }
}

import { WalError } from '../errors/wal-error.js';

/** The key by which Node's `util.inspect`, and so `console.log`, asks an object how it is printed. */
export const PRINTED: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/** What Node gives to a method of that name. */
export type PrintArguments = [
  depth: number,
  options: object,
  inspect: (value: object, options: object) => string,
];

/**
 * An object as it is printed: its class and a few fields.
 *
 * @param fields is asked only where they are printed. Where they cannot be read, since the log is gone from the disk, the error's code
 *   stands in their place: to print is not to fail
 */
export function printed(
  className: string,
  fields: () => object,
  [depth, options, inspect]: PrintArguments,
): string {
  if (depth < 0) return `[${className}]`;
  return `${className} ${inspect(readable(fields), options)}`;
}

function readable(fields: () => object): object {
  try {
    return fields();
  } catch (error) {
    if (!(error instanceof WalError)) throw error;
    return { unreadable: error.code };
  }
}

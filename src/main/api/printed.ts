import { WalError } from '../errors/wal-error.js';

/** The key by which Node's `util.inspect`, and so `console.log`, asks an object how it is printed. */
export const PRINTED: unique symbol = Symbol.for('nodejs.util.inspect.custom') as never;

/** The arguments with which Node calls a method of that name. */
export type PrintArguments = [
  depth: number,
  options: object,
  inspect: (value: object, options: object) => string,
];

/**
 * An object as it is printed: its class and a few fields.
 *
 * @param fields called only if the fields are printed. If it throws, because the log is gone from the disk, the error's code is
 *   printed in their place: printing must not fail
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

import { relative } from 'node:path';
import { harmless } from './text.js';

/** A path quoted for a shell, for commands in messages. */
export function shellPath(path: string): string {
  const fromHere = relative('.', path) || '.';
  const short = fromHere.length < path.length ? fromHere : path;
  if (/^[\w@%+=:,./][\w@%+=:,./-]*$/.test(short)) return short;
  const unlikeOption = short.startsWith('-') ? `./${short}` : short;
  return `'${harmless(unlikeOption).replaceAll("'", `'\\''`)}'`;
}

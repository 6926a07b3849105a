import { relative } from 'node:path';
import { harmless } from './text.js';

/** A path as it can be typed into a shell, for the commands that messages name. */
export function shellPath(path: string): string {
  const fromHere = relative('.', path) || '.';
  const short = fromHere.length < path.length ? fromHere : path;
  if (/^[\w@%+=:,./][\w@%+=:,./-]*$/.test(short)) return short;
  const unlikeOption = short.startsWith('-') ? `./${short}` : short;
  return `'${harmless(unlikeOption).replaceAll("'", `'\\''`)}'`;
}

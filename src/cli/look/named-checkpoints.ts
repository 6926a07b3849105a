import type { LogState } from '../../format/state-file.js';
import { harmless } from '../text/text.js';

/** A named checkpoint as the state file holds it. */
export interface NamedPlace {
  readonly name: string;
  readonly lsn: number;
  readonly data: Uint8Array;
}

/** The lowest, which holds back the most, comes first. */
export function namedCheckpoints(state: LogState | undefined): NamedPlace[] {
  return [...(state?.namedCheckpoints ?? [])]
    .map(([name, { lsn, data }]) => ({ name, lsn, data }))
    .sort((a, b) => a.lsn - b.lsn || (a.name < b.name ? -1 : 1));
}

const SHOWN_MAX = 40;

/** Data that is text is shown as text, other data by its number of bytes. */
export function describeData(data: Uint8Array): string {
  const text = Buffer.from(data).toString();
  const isText = Buffer.from(text).equals(data) && !/\p{Cc}/u.test(text);
  if (!isText || text.length > SHOWN_MAX) return `${data.length} bytes`;
  return harmless(text);
}

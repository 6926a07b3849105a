import { Option } from 'commander';
import type { WalOptions } from '../../index.js';
import { parseBytes, parseCount, parseDuration } from './values.js';

/** What of `Wal.open` matters to who appends by the command. */
export const LOG_OPTIONS: readonly Option[] = [
  new Option('--max-file-size <bytes>', 'size of a segment: 4KiB to 1GiB (default: 64MiB)').argParser(
    parseBytes,
  ),
  new Option('--max-files <count>', 'segments kept; the oldest go first').argParser(parseCount),
  new Option('--max-total-size <bytes>', 'bytes kept in all segments; the oldest go first').argParser(
    parseBytes,
  ),
  new Option('--max-age <time>', 'how long a segment is kept, like 7d').argParser(parseDuration),
  new Option('--retain-from <what>', 'keep what is above the checkpoint').choices(['checkpoint']),
  new Option(
    '--sync-interval <time>',
    'the longest that written data stays unsynced (default: 200ms)',
  ).argParser(parseDuration),
  new Option('--max-entry-size <bytes>', 'the longest entry taken (default: 64MiB)').argParser(parseBytes),
  new Option('--preallocate <how>', 'allocate blocks before they are written (default: ahead)').choices([
    'ahead',
    'zero',
    'recycle',
    'false',
  ]),
  new Option('--recovery <mode>', 'what is made of a damaged log (default: strict)').choices([
    'strict',
    'point-in-time',
    'skip-corrupt',
  ]),
];

type LogOptions = Pick<
  WalOptions,
  | 'maxFileSize'
  | 'maxFiles'
  | 'maxTotalSize'
  | 'maxAge'
  | 'retainFrom'
  | 'syncInterval'
  | 'maxEntrySize'
  | 'preallocate'
  | 'recovery'
>;

/** As the command line has them. */
export interface ParsedLogOptions extends Omit<LogOptions, 'preallocate'> {
  readonly preallocate?: Exclude<LogOptions['preallocate'], false> | 'false';
}

/** Those of a command's options that are the log's. */
export function pickLogOptions({ preallocate, ...options }: ParsedLogOptions): LogOptions {
  const names = LOG_OPTIONS.map((option) => option.attributeName());
  const picked: LogOptions = Object.fromEntries(
    Object.entries(options).filter(([name]) => names.includes(name)),
  );
  return preallocate === undefined
    ? picked
    : { ...picked, preallocate: preallocate === 'false' ? false : preallocate };
}

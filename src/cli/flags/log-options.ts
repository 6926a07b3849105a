import { Option } from 'commander';
import type { WalOptions } from '../../index.js';
import { parseBytes, parseCompression, parseCount, parseDuration } from './values.js';

/** The options of `Wal.open` that matter to the commands that write. */
export const LOG_OPTIONS: readonly Option[] = [
  new Option('--max-file-size <bytes>', 'size of a segment: 4KiB to 1GiB (default: 64MiB)').argParser(
    parseBytes,
  ),
  new Option('--max-files <count>', 'number of segments to keep; the oldest are removed first').argParser(
    parseCount,
  ),
  new Option(
    '--max-total-size <bytes>',
    'total size of the segments to keep; the oldest are removed first',
  ).argParser(parseBytes),
  new Option('--max-age <time>', 'remove segments older than this, like 7d').argParser(parseDuration),
  new Option(
    '--retain-from <what>',
    'keep all entries above the checkpoint, or all that the oldest kept snapshot needs',
  ).choices(['checkpoint', 'snapshot']),
  new Option('--sync-interval <time>', 'sync written data within this time (default: 200ms)').argParser(
    parseDuration,
  ),
  new Option('--max-entry-size <bytes>', 'maximum size of an entry (default: 64MiB)').argParser(parseBytes),
  new Option(
    '--compression <codec>',
    'compress what is appended: lz4, zstd, or zstd:LEVEL with a level from 1 to 22 (default: no compression)',
  ).argParser(parseCompression),
  new Option('--preallocate <how>', 'allocate blocks before they are written (default: ahead)').choices([
    'ahead',
    'zero',
    'recycle',
    'false',
  ]),
  new Option('--recovery <mode>', 'how to handle a damaged log (default: strict)').choices([
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
  | 'compression'
  | 'preallocate'
  | 'recovery'
>;

/** The options as they are parsed from the command line. */
export interface ParsedLogOptions extends Omit<LogOptions, 'preallocate'> {
  readonly preallocate?: Exclude<LogOptions['preallocate'], false> | 'false';
}

/** The options of a command that belong to the log. */
export function pickLogOptions({ preallocate, ...options }: ParsedLogOptions): LogOptions {
  const names = LOG_OPTIONS.map((option) => option.attributeName());
  const picked: LogOptions = Object.fromEntries(
    Object.entries(options).filter(([name]) => names.includes(name)),
  );
  return preallocate === undefined
    ? picked
    : { ...picked, preallocate: preallocate === 'false' ? false : preallocate };
}

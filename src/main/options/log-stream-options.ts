import { flag, oneOf, takeOptions } from './checks.js';

/** Options of {@link Wal.createLogStream}. */
export interface LogStreamOptions {
  /**
   * What becomes of lines that are written while the ring is full: they wait, up to `maxPending` bytes of them, beyond which
   * writing blocks (`'wait'`), or they are dropped and counted (`'drop'`).
   *
   * @defaultValue `'wait'`
   */
  onFull?: 'wait' | 'drop' | undefined;
  /**
   * `true`: a line ends at CR LF too, and the entry has neither. Only a carriage return right before a newline goes, one for
   * each line; any other is data. `false`: a line ends at the newline alone, and a carriage return before it is part of the entry.
   *
   * @defaultValue `false`
   */
  stripCarriageReturn?: boolean | undefined;
  /**
   * A line without a byte becomes an entry of no bytes (`'keep'`), or none (`'skip'`). With `stripCarriageReturn` a line of
   * nothing but CR LF is empty too. A line of spaces is not.
   *
   * @defaultValue `'keep'`
   */
  emptyLines?: 'keep' | 'skip' | undefined;
}

/** How lines become entries. */
export interface LineRules {
  /** A carriage return right before a newline is not part of the line. */
  readonly stripCarriageReturn: boolean;
  readonly emptyLines: 'keep' | 'skip';
}

export interface CheckedLogStreamOptions extends LineRules {
  readonly onFull: 'wait' | 'drop';
}

const LOG_STREAM_OPTIONS = ['onFull', 'stripCarriageReturn', 'emptyLines'] as const;

/** Checks the options of `createLogStream`; answers all of them. */
export function checkLogStreamOptions(given: LogStreamOptions): CheckedLogStreamOptions {
  const why = (name: string) =>
    name === 'objectMode' ? ' A log stream takes lines, as strings or bytes.' : '';
  const options = takeOptions(given, 'log stream option', LOG_STREAM_OPTIONS, why);
  return {
    onFull: oneOf('onFull', options.onFull, ['wait', 'drop']),
    stripCarriageReturn: flag('stripCarriageReturn', options.stripCarriageReturn),
    emptyLines: oneOf('emptyLines', options.emptyLines, ['keep', 'skip']),
  };
}

import { type Argument, Option } from 'commander';
import type { ExitCode } from '../errors/exit-code.js';
import type { Context } from '../terminal/context.js';

declare const RINGWAL_VERSION: string;

export const VERSION = RINGWAL_VERSION;
export const DESCRIPTION = 'Reads, checks and writes logs of ringwal, the write-ahead log for Node.js.';
export const HELP_FLAGS = '-h, --help';
export const VERSION_FLAGS = '-V, --version';

/**
 * A command as data. The parser, the help, the completions and the man page are all made of it, so that none of them can
 * know more, or less, than the others.
 */
export interface Command {
  readonly name: string;
  /** One line, without a full stop. */
  readonly summary: string;
  /** Paragraphs. */
  readonly details: readonly string[];
  readonly arguments: readonly Argument[];
  /** Beside `--json` and `--help`, which every command has. */
  readonly options: readonly Option[];
  readonly examples: readonly Example[];
  /** What `--json` prints. */
  readonly json: string;
  run(context: Context, options: GlobalOptions, args: readonly (string | undefined)[]): Promise<ExitCode>;
}

export interface Example {
  readonly command: string;
  readonly what: string;
}

export interface GlobalOptions {
  readonly json?: boolean | undefined;
}

interface TypedCommand<Options> extends Omit<Command, 'run'> {
  run(
    context: Context,
    options: Options & GlobalOptions,
    args: readonly (string | undefined)[],
  ): Promise<ExitCode>;
}

/** `Options` are what `options` parse to: the one place where that is taken on trust. */
export function defineCommand<Options>(command: TypedCommand<Options>): Command {
  return command as unknown as Command;
}

/** All that a command takes, but for `--help`. */
export function optionsOf({ options }: Command): readonly Option[] {
  return [...options, new Option('--json', 'print JSON for programs')];
}

/** A summary as a sentence. */
export function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

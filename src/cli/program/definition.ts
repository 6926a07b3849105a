import { type Argument, Option } from 'commander';
import type { ExitCode } from '../errors/exit-code.js';
import type { Context } from '../terminal/context.js';

declare const RINGWAL_VERSION: string;

export const VERSION = RINGWAL_VERSION;
export const DESCRIPTION = 'Reads, checks and writes logs of ringwal, the write-ahead log for Node.js.';
export const HELP_FLAGS = '-h, --help';
export const VERSION_FLAGS = '-V, --version';

/**
 * A command as data. The parser, the help, the completions and the man page are all generated from it, so they always
 * agree.
 */
export interface Command {
  readonly name: string;
  /** One line, without a full stop. */
  readonly summary: string;
  /** Paragraphs. */
  readonly details: readonly string[];
  readonly arguments: readonly Argument[];
  /** Options other than `--json` and `--help`, which every command has. */
  readonly options: readonly Option[];
  readonly examples: readonly Example[];
  /** A description of the output of `--json`. */
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

/** `Options` is the type that `options` parse to. Only this function assumes that without a check. */
export function defineCommand<Options>(command: TypedCommand<Options>): Command {
  return command as unknown as Command;
}

/** All options of a command except `--help`. */
export function optionsOf({ options }: Command): readonly Option[] {
  return [...options, new Option('--json', 'print JSON for programs')];
}

/** A summary as a sentence. */
export function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

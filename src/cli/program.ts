import { type Command as Commander, CommanderError, createCommand } from 'commander';
import { COMMANDS } from './all-commands.js';
import { EXIT_CODES, ExitCode, tellError } from './errors/exit-code.js';
import {
  type Command,
  DESCRIPTION,
  type GlobalOptions,
  HELP_FLAGS,
  optionsOf,
  sentence,
  VERSION,
  VERSION_FLAGS,
} from './program/definition.js';
import type { Context } from './terminal/context.js';
import type { Output } from './terminal/output.js';
import { wrap } from './text/text.js';

/** Parses the command line and runs the command. */
export async function runProgram(context: Context, argv: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = ExitCode.ok;
  const program = createProgram(context, argv.includes('--json'), (done) => {
    exitCode = done;
  });
  try {
    if (argv.length === 0) program.help({ error: true });
    const [first, topic] = argv;
    if (first === 'help' && topic !== undefined && COMMANDS.every(({ name }) => name !== topic))
      program.error(
        `error: unknown command '${topic}'\nThe commands are ${COMMANDS.map(({ name }) => name).join(', ')}.`,
      );
    await program.parseAsync(argv, { from: 'user' });
    return exitCode;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? ExitCode.ok : ExitCode.usage;
    return reportError(context, error, argv);
  }
}

/** Prints the error that ended the command to standard error, and returns the exit code. */
export function reportError(context: Context, error: unknown, argv: readonly string[]): ExitCode {
  const { signal, interruptedWith, outputFailure, errorColors } = context;
  const isAbort = signal.aborted && (error === signal.reason || (error as Error).name === 'AbortError');
  const cause = isAbort ? outputFailure : error;
  if (cause === undefined) return interruptedWith ?? ExitCode.ok;
  const { exitCode, message, hint, details } = tellError(cause);
  if (context.env.RINGWAL_DEBUG) context.error(String((cause as Error).stack));
  if (argv.includes('--json')) {
    context.error(JSON.stringify({ error: { message, exitCode, ...details, ...(hint && { hint }) } }));
  } else {
    context.error(`${errorColors.red('ringwal:')} ${message}`);
    if (hint !== undefined) context.error(`  ${hint}`);
  }
  return exitCode;
}

function createProgram(context: Context, isJson: boolean, onDone: (exitCode: ExitCode) => void): Commander {
  const program = createCommand('ringwal')
    .description(DESCRIPTION)
    .version(VERSION, VERSION_FLAGS, 'print the version')
    .helpOption(HELP_FLAGS, 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    .showSuggestionAfterError()
    .configureHelp({ minWidthToWrap: 20 })
    .exitOverride()
    .configureOutput({
      writeOut: (text) => context.out.write(text),
      writeErr: (text) => context.error(text.replace(/\n$/, '')),
      outputError: (text, write) => {
        const said = text.replace(/^error: /, '').trimEnd();
        if (isJson) {
          write(JSON.stringify({ error: { message: said, exitCode: ExitCode.usage } }));
          return;
        }
        write(`${context.errorColors.red('ringwal:')} ${said.charAt(0).toUpperCase()}${said.slice(1)}`);
      },
      getOutHelpWidth: () => context.out.columns,
      getOutHasColors: () => context.out.colors.isColorSupported,
      getErrHasColors: () => context.errorColors.isColorSupported,
    })
    .addHelpText('after', () => `\n${exitCodeHelp(context.out)}\n\n\`ringwal help COMMAND\` has examples.`);
  for (const command of COMMANDS)
    program.addCommand(createSubcommand(program, context, command, isJson, onDone));
  return program;
}

function createSubcommand(
  program: Commander,
  context: Context,
  command: Command,
  isJson: boolean,
  onDone: (exitCode: ExitCode) => void,
): Commander {
  const sub = program
    .createCommand(command.name)
    .copyInheritedSettings(program)
    .summary(command.summary)
    .description([sentence(command.summary), ...command.details].join('\n\n'))
    .helpOption(HELP_FLAGS, 'print this help')
    .showHelpAfterError(isJson ? false : `\`ringwal help ${command.name}\` explains the command.`)
    .addHelpText('after', () => exampleHelp(command, context.out));
  for (const argument of command.arguments) sub.addArgument(argument);
  for (const option of optionsOf(command)) sub.addOption(option);
  return sub.action(async () => {
    onDone(await command.run(context, sub.opts<GlobalOptions>(), sub.processedArgs.flat().map(asText)));
  });
}

/** Parsers check the arguments; the commands get them as text. */
function asText(value: unknown): string | undefined {
  return value === undefined ? undefined : String(value);
}

function exampleHelp({ examples, json }: Command, { columns }: Output): string {
  const width = Math.min(80, columns);
  const shown = examples.map(({ command, what }) => {
    const lines = wrap(what, width - EXAMPLE_INDENT.length).map((line) => EXAMPLE_INDENT + line);
    return [`  ${command}`, ...lines].join('\n');
  });
  return [
    '',
    'Examples:',
    ...shown,
    '',
    'With --json:',
    ...wrap(json, width - 4).map((line) => `  ${line}`),
  ].join('\n');
}

function exitCodeHelp({ isTerminal, columns }: Output): string {
  const width = isTerminal ? columns - EXIT_CODE_INDENT.length : Number.POSITIVE_INFINITY;
  return [
    'Exit codes:',
    ...EXIT_CODES.map(
      ([code, meaning]) =>
        `  ${String(code).padStart(3)}  ${wrap(meaning, width).join(`\n${EXIT_CODE_INDENT}`)}`,
    ),
  ].join('\n');
}

const EXAMPLE_INDENT = ' '.repeat(6);
const EXIT_CODE_INDENT = ' '.repeat(7);

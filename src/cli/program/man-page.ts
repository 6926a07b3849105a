import type { Argument, Option } from 'commander';
import { EXIT_CODES } from '../errors/exit-code.js';
import { type Command, DESCRIPTION, optionsOf, sentence, VERSION } from './definition.js';

/**
 * The manual page for man(1), section 1, generated from the definitions. It has no date, so the same sources always
 * make the same page.
 */
export function manPage(commands: readonly Command[]): string {
  const lines = [
    `.TH RINGWAL 1 "" "ringwal ${VERSION}" "ringwal"`,
    '.SH NAME',
    'ringwal \\- read, check and write logs of ringwal, the write\\-ahead log for Node.js',
    '.SH SYNOPSIS',
    ...commands.flatMap((command, at) => [
      ...(at === 0 ? [] : ['.br']),
      `\\fBringwal ${command.name}\\fR ${synopsis(command)}`,
    ]),
    '.SH DESCRIPTION',
    text(DESCRIPTION),
    text(
      'Colours, progress and questions appear on terminals only. Errors go to standard error, one message each.',
    ),
    '.SH COMMANDS',
    ...commands.flatMap(section),
    '.SH EXIT STATUS',
    ...EXIT_CODES.flatMap(([code, meaning]) => ['.TP', `.B ${code}`, text(meaning)]),
    '.SH ENVIRONMENT',
    '.TP',
    '.B NO_COLOR',
    text('Disables colours everywhere.'),
    '.TP',
    '.B RINGWAL_DEBUG',
    text('Prints the stack of an error.'),
    '.SH SEE ALSO',
    text('The documentation of the package: README.md, docs/cli.md, docs/durability.md, docs/format.md.'),
  ];
  return `${lines.join('\n')}\n`;
}

function section(command: Command): string[] {
  return [
    `.SS ringwal ${command.name} ${synopsis(command)}`,
    text(sentence(command.summary)),
    ...command.details.flatMap((paragraph) => ['.PP', text(paragraph)]),
    ...command.arguments.flatMap((argument) => [
      '.TP',
      `\\fI${escaped(argument.name())}\\fR`,
      about(argument),
    ]),
    ...optionsOf(command).flatMap((option) => ['.TP', flags(option), aboutOption(command, option)]),
    ...command.examples.flatMap(({ command: example, what }) => [
      '.PP',
      text(what),
      '.PP',
      '.RS 4',
      '.nf',
      text(example),
      '.fi',
      '.RE',
    ]),
  ];
}

function synopsis({ arguments: all }: Command): string {
  const named = all.map((argument) => {
    const name = `\\fI${escaped(argument.name())}\\fR${argument.variadic ? '...' : ''}`;
    return argument.required ? name : `[${name}]`;
  });
  return ['[\\fIoptions\\fR]', ...named].join(' ');
}

function flags({ flags: all }: Option): string {
  return `\\fB${escaped(all)}\\fR`;
}

function aboutOption(command: Command, option: Option): string {
  return option.long === '--json' ? text(`Print JSON for programs. ${command.json}`) : about(option);
}

function about({ description, argChoices, defaultValue }: Argument | Option): string {
  const choices = argChoices === undefined ? '' : ` One of: ${argChoices.join(', ')}.`;
  const usual = defaultValue === undefined ? '' : ` Default: ${defaultValue}.`;
  return text(`${sentence(description)}${choices}${usual}`);
}

/** A line of text, escaped so that it does not begin like a request. */
function text(line: string): string {
  return escaped(line).replace(/^[.']/, '\\&$&');
}

function escaped(line: string): string {
  return line
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll('…', '\\[u2026]')
    .replaceAll("'", '\\[aq]')
    .replaceAll('~', '\\[ti]');
}

import { LOG_OPTIONS } from '../flags/log-options.js';

/** A path, or what else is quoted: it may look like anything. An apostrophe is no quote. */
const QUOTED = /"[^"]*"|(?<!\w)'[^']*'(?!\w)|`[^`]*`/g;

/** `Wal.repair`, `maxFileSize`, `close()`, `"readOnly: true"`: what only a program can make use of. */
const CODE = /\bWal\b|\b[a-z]+[A-Z]\w*|\b\w+\(|\battach\b/;

/** What its options are called on the command line. */
const FLAGS = new Map(LOG_OPTIONS.map((option) => [option.attributeName(), `--${option.name()}`]));

/** What the command's own calls are called there. */
const CALLS: readonly (readonly [RegExp, string])[] = [
  [/\btruncateAfter\((\d+)\)/g, 'truncate --after $1'],
  [/\btruncateBefore\((\d+)\)/g, 'truncate --before $1'],
  [/\bcheckpoint\((\d+)\)/g, 'set the checkpoint to $1'],
  [/\btruncateAfter\b/g, 'truncate --after'],
];

/**
 * A message of the library for who uses the command: options and calls are named as on the command line, and sentences
 * that advise a program to do something are left out. The command has advice of its own.
 */
export function asToldByCommand(message: string): string {
  const quotes: string[] = [];
  const bare = message.replace(QUOTED, (quote) => `"${quotes.push(quote) - 1}"`);
  const sentences = bare.split(/(?<=[.!?])\s+(?=[A-Z"])/).map(inWordsOfCommand);
  const [first = '', ...rest] = sentences;
  const told = [first, ...rest.filter((sentence) => !CODE.test(sentence))].join(' ');
  return told.replace(/"(\d+)"/g, (_, at) => quotes[Number(at)] as string);
}

function inWordsOfCommand(sentence: string): string {
  let told = sentence;
  for (const [call, command] of CALLS) told = told.replace(call, command);
  return told.replace(/\b[a-z]+(?:[A-Z]\w*)?\b/g, (word) =>
    /[A-Z]/.test(word) ? (FLAGS.get(word) ?? word) : word,
  );
}

import { LOG_OPTIONS } from '../flags/log-options.js';

/** Quoted text, such as a path, which may contain anything. An apostrophe is not a quote. */
const QUOTED = /"[^"]*"|(?<!\w)'[^']*'(?!\w)|`[^`]*`/g;

/** `Wal.repair`, `maxFileSize`, `close()`, `"readOnly: true"`: text that is of use only to a program. */
const CODE = /\bWal\b|\b[a-z]+[A-Z]\w*|\b\w+\(|\battach\b/;

/** The names of the library's options on the command line. */
const FLAGS = new Map(LOG_OPTIONS.map((option) => [option.attributeName(), `--${option.name()}`]));

/** The names of the command's own calls on the command line. */
const CALLS: readonly (readonly [RegExp, string])[] = [
  [/\btruncateAfter\((\d+)\)/g, 'truncate --after $1'],
  [/\btruncateBefore\((\d+)\)/g, 'truncate --before $1'],
  [/\bcheckpoint\((\d+)\)/g, 'set the checkpoint to $1'],
  [/\btruncateAfter\b/g, 'truncate --after'],
];

/**
 * Rewrites a message of the library for users of the command. Options and calls get their names on the command line.
 * Sentences with advice for programs are removed, because the command adds its own advice.
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

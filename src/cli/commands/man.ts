import { ExitCode } from '../errors/exit-code.js';
import { type Command, defineCommand } from '../program/definition.js';
import { manPage } from '../program/man-page.js';

/** `commands` are asked for when the page is printed: it has itself in it too. */
export function createMan(commands: () => readonly Command[]): Command {
  return defineCommand({
    name: 'man',
    summary: 'print the manual page',
    details: ['In the form that man reads. A global installation puts it where man finds it by itself.'],
    arguments: [],
    options: [],
    examples: [{ command: 'npx ringwal man | man -l -', what: 'Read it without installing it.' }],
    json: 'An object with page.',
    async run({ out }, { json = false }) {
      const page = manPage(commands());
      if (json) out.json({ page });
      else out.write(page);
      return ExitCode.ok;
    },
  });
}

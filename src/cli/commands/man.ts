import { ExitCode } from '../errors/exit-code.js';
import { type Command, defineCommand } from '../program/definition.js';
import { manPage } from '../program/man-page.js';

/** `commands` is called when the page is printed, so the list includes this command. */
export function createMan(commands: () => readonly Command[]): Command {
  return defineCommand({
    name: 'man',
    summary: 'print the manual page',
    details: ['The page is in the format of man. After a global installation, man finds it.'],
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

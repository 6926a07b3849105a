import { Argument } from 'commander';
import { ExitCode } from '../errors/exit-code.js';
import { bashCompletion, fishCompletion, zshCompletion } from '../program/completion-scripts.js';
import { type Command, defineCommand } from '../program/definition.js';

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

/** `commands` are asked for when the script is printed: it completes itself too. */
export function createCompletion(commands: () => readonly Command[]): Command {
  return defineCommand({
    name: 'completion',
    summary: 'print a script that completes commands, options and their values',
    details: ['It is made of the same definitions as the help: print it anew after an update.'],
    arguments: [new Argument('<shell>', 'the shell that reads it').choices(Object.keys(SCRIPTS))],
    options: [],
    examples: [
      { command: 'source <(ringwal completion bash)', what: 'In ~/.bashrc.' },
      { command: 'source <(ringwal completion zsh)', what: 'In ~/.zshrc, behind compinit.' },
      { command: 'ringwal completion fish | source', what: 'In ~/.config/fish/config.fish.' },
    ],
    json: 'An object with shell and script.',
    async run({ out }, { json = false }, [shell]) {
      const script = SCRIPTS[shell as keyof typeof SCRIPTS](commands());
      if (json) out.json({ shell, script });
      else out.write(script);
      return ExitCode.ok;
    },
  });
}

import { Argument } from 'commander';
import { ExitCode } from '../errors/exit-code.js';
import { bashCompletion, fishCompletion, zshCompletion } from '../program/completion-scripts.js';
import { type Command, defineCommand } from '../program/definition.js';

const SCRIPTS = { bash: bashCompletion, zsh: zshCompletion, fish: fishCompletion } as const;

/** `commands` is called when the script is printed, so the list includes this command. */
export function createCompletion(commands: () => readonly Command[]): Command {
  return defineCommand({
    name: 'completion',
    summary: 'print a script that completes commands, options and their values',
    details: [
      'The script is generated from the same definitions as the help. Print it again after an update.',
    ],
    arguments: [new Argument('<shell>', 'the shell').choices(Object.keys(SCRIPTS))],
    options: [],
    examples: [
      { command: 'source <(ringwal completion bash)', what: 'Put this into ~/.bashrc.' },
      { command: 'source <(ringwal completion zsh)', what: 'Put this into ~/.zshrc, after compinit.' },
      { command: 'ringwal completion fish | source', what: 'Put this into ~/.config/fish/config.fish.' },
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

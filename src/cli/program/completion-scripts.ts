import type { Argument, Option } from 'commander';
import { type Command, HELP_FLAGS, optionsOf, VERSION_FLAGS } from './definition.js';

/*
 * Completion scripts, generated from the definitions. They do not start ringwal, so they answer at once.
 */

const GLOBAL_FLAGS = [...flagsIn(HELP_FLAGS), ...flagsIn(VERSION_FLAGS)];

export function bashCompletion(commands: readonly Command[]): string {
  const names = [...commands.map(({ name }) => name), 'help'];
  const values = commands.flatMap((command) =>
    command.options.filter(takesValue).map((option) => {
      const patterns = optionFlags(option).map((flag) => `${command.name}:${flag}`);
      // A free value has no completion, not even file names.
      const found =
        option.argChoices === undefined
          ? ''
          : `COMPREPLY=($(compgen -W '${option.argChoices.join(' ')}' -- "$cur")); `;
      return `    ${patterns.join('|')}) ${found}compopt +o default; return ;;`;
    }),
  );
  const words = commands.flatMap((command) => {
    const choices = command.arguments.flatMap(({ argChoices = [] }) => argChoices);
    return choices.length === 0
      ? []
      : [`    ${command.name}) COMPREPLY=($(compgen -W '${choices.join(' ')}' -- "$cur")) ;;`];
  });
  return `# ringwal completion bash
_ringwal() {
  local cur="\${COMP_WORDS[COMP_CWORD]}" prev="\${COMP_WORDS[COMP_CWORD-1]}" options=''
  COMPREPLY=()
  if [ "$COMP_CWORD" -eq 1 ]; then
    COMPREPLY=($(compgen -W '${[...names, ...GLOBAL_FLAGS].join(' ')}' -- "$cur"))
    return
  fi
  case "\${COMP_WORDS[1]}:$prev" in
${values.join('\n')}
  esac
  if [[ "$cur" == -* ]]; then
    case "\${COMP_WORDS[1]}" in
${commands.map((command) => `      ${command.name}) options='${allFlags(command).join(' ')}' ;;`).join('\n')}
    esac
    COMPREPLY=($(compgen -W "$options" -- "$cur"))
    return
  fi
  case "\${COMP_WORDS[1]}" in
    help) COMPREPLY=($(compgen -W '${commands.map(({ name }) => name).join(' ')}' -- "$cur")) ;;
${words.join('\n')}
  esac
}
complete -o default -F _ringwal ringwal
`;
}

export function zshCompletion(commands: readonly Command[]): string {
  const described = commands.map(({ name, summary }) => `    ${quoted(`${name}:${summary}`)}`);
  const cases = commands.map((command) => {
    const specs = [
      ...optionsOf(command).flatMap(zshOption),
      ...flagsIn(HELP_FLAGS).map((flag) => quoted(`${flag}[print help]`)),
      ...command.arguments.map(zshArgument),
    ];
    return `    ${command.name})\n      _arguments -s \\\n        ${specs.join(' \\\n        ')}\n      ;;`;
  });
  return `#compdef ringwal
_ringwal() {
  local -a commands=(
${described.join('\n')}
    'help:print the help of a command'
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  local command=$words[2]
  shift words
  (( CURRENT-- ))
  case $command in
    help) _describe command commands ;;
${cases.join('\n')}
  esac
}
if [ "$funcstack[1]" = _ringwal ]; then
  _ringwal "$@"
else
  compdef _ringwal ringwal
fi
`;
}

function zshOption(option: Option): string[] {
  const what = option.description.replace(/[[\]:]/g, '\\$&');
  const isFree = option.argChoices === undefined;
  const value = takesValue(option) ? `:value:${isFree ? '' : `(${option.argChoices?.join(' ')})`}` : '';
  return optionFlags(option).map((flag) => quoted(`${flag}[${what}]${value}`));
}

function zshArgument({ argChoices, required, variadic, description }: Argument): string {
  const what = description.replaceAll(':', '\\:');
  const values = argChoices === undefined ? '_files' : `(${argChoices.join(' ')})`;
  return quoted(`${variadic ? '*:' : required ? ':' : '::'}${what}:${values}`);
}

export function fishCompletion(commands: readonly Command[]): string {
  const lines = [
    '# ringwal completion fish',
    ...commands.map(
      ({ name, summary }) =>
        `complete -c ringwal -n __fish_use_subcommand -f -a ${name} -d ${quoted(summary)}`,
    ),
    `complete -c ringwal -n __fish_use_subcommand -f -a help -d 'print the help of a command'`,
    `complete -c ringwal -n '__fish_seen_subcommand_from help' -f -a ${quoted(commands.map(({ name }) => name).join(' '))}`,
    `complete -c ringwal -s h -l help -d 'print help'`,
  ];
  for (const command of commands) {
    const within = `complete -c ringwal -n '__fish_seen_subcommand_from ${command.name}'`;
    for (const option of optionsOf(command)) {
      const flags = [
        option.short && `-s ${option.short.slice(1)}`,
        option.long && `-l ${option.long.slice(2)}`,
      ];
      const choices = option.argChoices === undefined ? '' : ` -a ${quoted(option.argChoices.join(' '))}`;
      const value = takesValue(option) ? ` -x${choices}` : '';
      lines.push(`${within} ${flags.filter(Boolean).join(' ')}${value} -d ${quoted(option.description)}`);
    }
    for (const { argChoices } of command.arguments) {
      if (argChoices !== undefined) lines.push(`${within} -f -a ${quoted(argChoices.join(' '))}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** An option with an optional value is completed as if it had no value. */
function takesValue({ required }: Option): boolean {
  return required;
}

function optionFlags({ short, long }: Option): string[] {
  return [short, long].filter((flag) => flag !== undefined && flag !== null);
}

function allFlags(command: Command): string[] {
  return [...optionsOf(command).flatMap(optionFlags), ...flagsIn(HELP_FLAGS)];
}

function flagsIn(flags: string): string[] {
  return flags.split(', ');
}

/**
 * Text in single quotes for a shell. A quote within it is placed outside of the quotes, because the three shells
 * agree only there.
 */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}

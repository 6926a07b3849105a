import { createInterface } from 'node:readline/promises';
import type { Context } from './context.js';
import { CliError, ExitCode } from './exit-code.js';

/** Asks on the terminal; anything but yes is no. @throws where nobody is there to answer */
export async function confirm(context: Context, question: string): Promise<boolean> {
  if (!context.canAsk) {
    throw new CliError(
      ExitCode.usage,
      'Nobody is there to be asked: standard input or standard error is no terminal. --yes goes ahead without a question, --dry-run only shows.',
    );
  }
  const asking = createInterface({ input: context.stdin, output: context.errorStream, terminal: true });
  try {
    // readline takes Ctrl-C from the terminal, which then sends no signal.
    asking.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    const answer = await asking.question(`${question} [y/N] `, { signal: context.signal });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
}

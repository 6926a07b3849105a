import { createInterface } from 'node:readline/promises';
import { CliError, ExitCode } from '../errors/exit-code.js';
import type { Context } from './context.js';

/** Asks on the terminal; anything but yes is no. @throws where there is no terminal */
export async function confirm(context: Context, question: string): Promise<boolean> {
  if (!context.canAsk) {
    throw new CliError(
      ExitCode.usage,
      'Cannot ask for confirmation: standard input or standard error is not a terminal. Use --yes or --dry-run.',
    );
  }
  const asking = createInterface({ input: context.stdin, output: context.errorStream, terminal: true });
  try {
    // readline takes Ctrl-C from the terminal, which then sends no signal.
    asking.on('SIGINT', () => process.kill(process.pid, 'SIGINT'));
    const closed = new Promise<string>((resolve) => asking.once('close', () => resolve('')));
    const answered = asking.question(`${question} [y/N] `, { signal: context.signal });
    const answer = await Promise.race([answered.catch((error) => endOfInput(context, error)), closed]);
    context.signal.throwIfAborted();
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    asking.close();
  }
}

/** Ctrl-D answers nothing, which is no. @throws anything else that keeps the question from being answered */
function endOfInput(context: Context, error: Error): string {
  if (context.signal.aborted || error.name !== 'AbortError') throw error;
  // What is said next begins a line of its own.
  context.error('');
  return '';
}

import { createInterface } from 'node:readline/promises';
import { CliError, ExitCode } from '../errors/exit-code.js';
import type { Context } from './context.js';

/** Asks on the terminal; every answer but yes means no. @throws if there is no terminal */
export async function confirm(context: Context, question: string): Promise<boolean> {
  if (!context.canAsk) {
    throw new CliError(
      ExitCode.usage,
      'Cannot ask for confirmation: standard input or standard error is not a terminal. Use --yes or --dry-run.',
    );
  }
  const asking = createInterface({ input: context.stdin, output: context.errorStream, terminal: true });
  try {
    // readline reads Ctrl-C from the terminal, which then sends no signal.
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

/** Ctrl-D ends the input, which means no. @throws any other error of the question */
function endOfInput(context: Context, error: Error): string {
  if (context.signal.aborted || error.name !== 'AbortError') throw error;
  // The next message begins on a new line.
  context.error('');
  return '';
}

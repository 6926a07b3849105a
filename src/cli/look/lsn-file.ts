import { readFileSync } from 'node:fs';
import type { LsnRange } from '../../index.js';
import { CliError, ExitCode } from '../errors/exit-code.js';

/** The LSNs in a file, or on standard input (`-`): one on each line, or a range like `10-20`. Empty lines are passed over. */
export function readLsnFile(path: string): LsnRange[] {
  const lines = readText(path).split(/\r?\n/);
  return lines.flatMap((line, at) => {
    if (line.trim() === '') return [];
    const [, first = '', last = first] = /^\s*(\d+)(?:\s*-\s*(\d+))?\s*$/.exec(line) ?? [];
    const range = { first: Number(first), last: Number(last) };
    const isRange = range.first >= 1 && range.last >= range.first && Number.isSafeInteger(range.last);
    if (isRange) return [range];
    throw new CliError(
      ExitCode.usage,
      `Cannot read "${path}": line ${at + 1} must be an LSN, or a range like 10-20, not ${JSON.stringify(line.slice(0, 80))}.`,
    );
  });
}

function readText(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8');
  } catch (error) {
    throw new CliError(ExitCode.io, `Cannot read "${path}": ${(error as Error).message}`);
  }
}

import { CliError, ExitCode } from '../errors/exit-code.js';

/** @throws if nothing can lie between the two */
export function checkMoments(since: number | undefined, until: number | undefined): void {
  if (since === undefined || until === undefined || since <= until) return;
  const text = (ms: number) => new Date(ms).toISOString();
  throw new CliError(
    ExitCode.usage,
    `--since is ${text(since)}, which is after --until, ${text(until)}: no entry can lie between them.`,
  );
}

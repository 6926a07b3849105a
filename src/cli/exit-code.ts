import { dirname, relative } from 'node:path';
import { WalError } from '../index.js';

/** What the process ends with. docs/cli.md and the man page have the same table, made of or checked against [EXIT_CODES]. */
export const ExitCode = {
  ok: 0,
  no: 1,
  usage: 2,
  locked: 3,
  io: 4,
  unsupported: 5,
  internal: 70,
  hangup: 129,
  interrupted: 130,
  terminated: 143,
} as const;

export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode];

export const EXIT_CODES: readonly (readonly [code: ExitCode, meaning: string])[] = [
  [ExitCode.ok, 'Done.'],
  [ExitCode.no, 'The log is damaged, what was asked for is not in it, or the answer to a question was no.'],
  [ExitCode.usage, 'The command line or the input is wrong.'],
  [ExitCode.locked, 'Another process has the log open for writing.'],
  [ExitCode.io, 'The system refused something: a missing file, no permission, a full disk, a failed sync.'],
  [
    ExitCode.unsupported,
    'The files were written by a later version, or in a format that is only read segment by segment.',
  ],
  [ExitCode.internal, 'A mistake in ringwal itself.'],
  [ExitCode.hangup, 'Ended by SIGHUP, after the log was closed.'],
  [ExitCode.interrupted, 'Ended by SIGINT (Ctrl-C), after the log was closed.'],
  [ExitCode.terminated, 'Ended by SIGTERM, after the log was closed.'],
];

/** A command that cannot go on, as the user is told of it. */
export class CliError extends Error {
  readonly exitCode: ExitCode;

  /** @param message whole sentences: what was being done, why it cannot be, what to do */
  constructor(exitCode: ExitCode, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}

/** An error as it leaves the process. */
export interface Told {
  readonly exitCode: ExitCode;
  readonly message: string;
  /** What to do about it. */
  readonly hint?: string;
  /** For `--json`. */
  readonly details: Readonly<Record<string, unknown>>;
}

export function tellError(error: unknown): Told {
  if (error instanceof CliError) {
    return { exitCode: error.exitCode, message: error.message, details: {} };
  }
  if (error instanceof WalError) return tellWalError(error);
  const { code, message } = error as NodeJS.ErrnoException;
  if (typeof code === 'string' && /^E[A-Z0-9]+$/.test(code)) {
    return { exitCode: ExitCode.io, message, details: { code } };
  }
  return {
    exitCode: ExitCode.internal,
    message: `This should not have happened: ${message ?? String(error)}`,
    hint: 'Run it again with RINGWAL_DEBUG=1 for the stack, and report it.',
    details: {},
  };
}

function tellWalError(error: WalError): Told {
  const { code, path, lsn, offset } = error;
  const cause = (error.cause as NodeJS.ErrnoException | undefined)?.code;
  const hint = hintFor(error);
  return {
    exitCode: exitCodeOf(error),
    message: error.message,
    ...(hint === undefined ? {} : { hint }),
    details: { code, path, lsn, offset, ...(cause === undefined ? {} : { cause }) },
  };
}

function exitCodeOf(error: WalError): ExitCode {
  switch (error.code) {
    case 'ERR_WAL_CORRUPT':
    case 'ERR_WAL_PURGED':
    case 'ERR_WAL_TRUNCATED':
      return ExitCode.no;
    case 'ERR_WAL_OPTION':
    case 'ERR_WAL_TOO_LARGE':
      return ExitCode.usage;
    case 'ERR_WAL_LOCKED':
      return ExitCode.locked;
    case 'ERR_WAL_UNSUPPORTED':
      return ExitCode.unsupported;
    default:
      return ExitCode.io;
  }
}

function hintFor({ code, path }: WalError): string | undefined {
  switch (code) {
    case 'ERR_WAL_CORRUPT': {
      // It names the segment.
      const directory = path === undefined ? 'DIR' : relative('.', dirname(path)) || '.';
      return `\`ringwal verify ${directory}\` shows what is damaged, \`ringwal repair ${directory} --dry-run\` what can be saved.`;
    }
    case 'ERR_WAL_LOCKED':
      return 'Reading works meanwhile: cat, tail, get, inspect, verify, stats.';
    case 'ERR_WAL_UNSUPPORTED':
      return "Segments in wal-go's later format can be taken over one by one, oldest first: `ringwal cat SEGMENT -f length-prefixed | ringwal append NEW_DIR -f length-prefixed`.";
    case 'ERR_WAL_PURGED':
      return '`ringwal stats DIR` shows where the log begins.';
    default:
      return undefined;
  }
}

import { basename, dirname } from 'node:path';
import { classifyName } from '../../format/segment-name.js';
import { describeReason } from '../../format/verdict.js';
import { WalError } from '../../index.js';
import { shellPath } from '../text/shell-path.js';
import { asToldByCommand } from './library-message.js';

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
    message: asToldByCommand(error.message),
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

function hintFor({ code, path, message }: WalError): string | undefined {
  const log = path === undefined ? 'DIR' : shellPath(logOf(path));
  switch (code) {
    case 'ERR_WAL_CORRUPT':
      return howToRepair(log);
    case 'ERR_WAL_LOCKED':
      return 'Reading works meanwhile: cat, tail, get, inspect, verify, stats.';
    case 'ERR_WAL_UNSUPPORTED':
      return message.includes(describeReason('walg'))
        ? "Segments in wal-go's later format can be taken over one by one, oldest first: `ringwal cat SEGMENT -f length-prefixed | ringwal append NEW_DIR -f length-prefixed`."
        : `\`ringwal inspect ${log}\` shows where it stands.`;
    case 'ERR_WAL_PURGED':
      return `\`ringwal stats ${log}\` shows where the log begins.`;
    case 'ERR_WAL_TRUNCATED':
      return `Another process took the end off the log meanwhile. \`ringwal stats ${log}\` shows where it ends now.`;
    case 'ERR_WAL_WORKER_DIED':
      return 'Run it again; if it ends so once more, then with RINGWAL_DEBUG=1 for the stack, and report it.';
    default:
      return undefined;
  }
}

/** What who has a damaged log does next. `log`: as of [shellPath]. */
export function howToRepair(log: string): string {
  return `\`ringwal verify ${log}\` shows what is damaged, \`ringwal repair ${log} --dry-run\` what can be saved.`;
}

/** An error names a segment, or the log's directory. */
function logOf(path: string): string {
  return classifyName(basename(path)) === 'foreign' ? path : dirname(path);
}

import { constants, createReadStream, openSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { Socket } from 'node:net';
import { addAbortSignal, type Readable } from 'node:stream';
import { Argument, Option } from 'commander';
import type { Wal, WalError } from '../../index.js';
import { AppendWindow } from '../append/append-window.js';
import type { Appends } from '../append/appends.js';
import { MarkedAppends } from '../append/marked-appends.js';
import { openForWriting } from '../append/open-for-writing.js';
import {
  type LineRules,
  RECORD_FORMATS,
  type RecordFormat,
  RecordSplitter,
} from '../append/record-splitter.js';
import { CliError, ExitCode } from '../errors/exit-code.js';
import { LOG_OPTIONS, type ParsedLogOptions, pickLogOptions } from '../flags/log-options.js';
import { defineCommand } from '../program/definition.js';
import type { Context } from '../terminal/context.js';
import type { StatusLine } from '../terminal/status-line.js';
import { bytes, duration, integer, lsnRange, perSecond, plural } from '../text/text.js';

interface Options extends ParsedLogOptions {
  readonly durable?: true;
  readonly ack?: true;
  readonly format: RecordFormat;
  readonly stripCarriageReturn?: boolean;
  readonly skipEmptyLines?: boolean;
}

const MAX_ENTRY_SIZE = 64 * 2 ** 20;

export const append = defineCommand<Options>({
  name: 'append',
  summary: 'append lines or other records from a file or standard input',
  details: [
    'Each line becomes an entry, without its newline. By default, a carriage return before the newline is part of the entry, and an empty line is an empty entry. The command creates the directory if it is missing. It reads input as fast as the log takes it, with bounded memory. When the command succeeds, all entries are durable. When it fails, for example on a full disk, it says up to which record the input is in the log.',
    'A log of up to 64 MiB is checked first. If it is damaged but can still be appended to, a warning on standard error describes the damage and the next step.',
    'Ctrl-C ends the input: the command makes all entries that it has taken durable and closes the log.',
  ],
  arguments: [
    new Argument('<dir>', "the log's directory"),
    new Argument('[file]', 'the input file (default: standard input, also for "-")'),
  ],
  options: [
    new Option('-d, --durable', 'sync each entry at once, together with other waiting entries'),
    new Option(
      '-a, --ack',
      'print the LSN of each entry when it is written; with --durable, when it is durable',
    ),
    new Option('-f, --format <format>', 'how to divide the input into entries')
      .choices(RECORD_FORMATS)
      .default('lines'),
    new Option(
      '--strip-carriage-return',
      'accept CR LF as the end of a line: remove a carriage return before the newline',
    ),
    new Option('--skip-empty-lines', 'ignore empty lines'),
    ...LOG_OPTIONS,
  ],
  examples: [
    { command: 'ringwal append ./log events.ndjson', what: 'Append the lines of a file.' },
    {
      command: 'tail -F access.log | ringwal append ./log --durable',
      what: 'Append lines as they arrive, and sync each at once.',
    },
    {
      command: 'ringwal cat wal-0 -f length-prefixed | ringwal append ./log -f length-prefixed',
      what: "Import a segment, also one in wal-go's later format, into another log.",
    },
  ],
  json: 'One object at the end: entries, firstLsn, lastLsn, durationMs, and records and bytes: the part of the input, from its beginning and without a gap, that is in the log. With --ack, {"lsn": …} for each entry before that.',
  async run(context, options, [directory = '', file]) {
    const rules = lineRules(options);
    // Opened before the log is created, so that a wrong file name leaves nothing behind.
    const input = await openInput(context, file);
    // `onError` may be called before the log is open.
    const failures: unknown[] = [];
    const wal = await openForWriting(context, directory, {
      ...pickLogOptions(options),
      onError: (error) => failures.push(error),
    });
    const appending = new Appending(context, options, rules, wal, failures);
    const status = context.statusLine();
    try {
      await appending.takeAll(input, status);
    } finally {
      status.clear();
      await wal.close().catch((error: WalError) => appending.hear(error));
      appending.report();
    }
    appending.throwFailure();
    return ExitCode.ok;
  },
});

function lineRules({ format, stripCarriageReturn = false, skipEmptyLines = false }: Options): LineRules {
  if (format !== 'lines' && (stripCarriageReturn || skipEmptyLines)) {
    const flag = stripCarriageReturn ? '--strip-carriage-return' : '--skip-empty-lines';
    throw new CliError(
      ExitCode.usage,
      `Cannot use ${flag} with --format ${format}: it works on lines only. Leave one of them out.`,
    );
  }
  return { stripCarriageReturn, skipEmptyLines };
}

async function openInput(context: Context, file: string | undefined): Promise<Readable> {
  if (file === undefined || file === '-') return context.stdin;
  // Opening a pipe waits for its writer, on a thread that cannot be interrupted. A socket waits on the event loop.
  if (statSync(file, { throwIfNoEntry: false })?.isFIFO() === true) {
    return new Socket({ fd: openSync(file, constants.O_RDONLY | constants.O_NONBLOCK), writable: false });
  }
  const handle = await open(file);
  if ((await handle.stat()).isDirectory()) {
    await handle.close();
    throw new CliError(ExitCode.io, `Cannot read "${file}": it is a directory. Name a file.`);
  }
  return createReadStream('', { fd: handle, highWaterMark: 256 * 1024 });
}

class Appending {
  readonly #context: Context;
  readonly #wal: Wal;
  readonly #isJson: boolean;
  readonly #splitter: RecordSplitter;
  readonly #appends: Appends;
  readonly #startedAt = performance.now();
  readonly #lastLsnBefore: number;
  #entries = 0;
  #bytes = 0;
  /** The errors so far. The command ends with the first one. */
  readonly #failures: unknown[];
  #acks: string[] = [];

  constructor(
    context: Context,
    options: Options & { json?: boolean | undefined },
    rules: LineRules,
    wal: Wal,
    failures: unknown[],
  ) {
    this.#failures = failures;
    const { durable = false, ack = false, json = false } = options;
    this.#context = context;
    this.#wal = wal;
    this.#isJson = json;
    this.#lastLsnBefore = wal.lastLsn;
    this.#splitter = new RecordSplitter(options.format, options.maxEntrySize ?? MAX_ENTRY_SIZE, rules);
    const acknowledge = json
      ? (lsn: number) => this.#acks.push(`{"lsn":${lsn}}\n`)
      : (lsn: number) => this.#acks.push(`${lsn}\n`);
    const onAck = (lsn: number) => {
      if (!ack) return;
      // LSNs that settle together are printed together.
      if (this.#acks.length === 0) setImmediate(() => this.#printAcks());
      acknowledge(lsn);
    };
    this.#appends = durable || ack ? new AppendWindow(wal, durable, onAck) : new MarkedAppends(wal);
  }

  /** Handles the loss of an entry that has no promise, and the failure of the log. */
  hear(error: unknown): void {
    this.#failures.push(error);
  }

  async takeAll(input: Readable, status: StatusLine): Promise<void> {
    const { signal } = this.#context;
    try {
      for await (const chunk of addAbortSignal(signal, input)) {
        for (const record of this.#splitter.push(chunk)) {
          // No await if there is room, which is nearly always so: awaiting would cost more than appending a short
          // line.
          if (!this.#take(record)) await this.#wait(record);
        }
        await this.#appends.mark();
        // An incomplete record is not appended.
        if (this.#failures.length > 0) return await this.#finish();
        status.update(() => this.#progress());
        await this.#context.out.room();
      }
      const last = this.#splitter.end();
      if (last !== undefined && !this.#take(last)) await this.#wait(last);
    } catch (error) {
      if (!signal.aborted) this.hear(error);
    }
    await this.#finish();
  }

  async #finish(): Promise<void> {
    try {
      await this.#appends.mark();
      await this.#appends.idle();
    } catch (error) {
      this.hear(error);
    }
    this.#printAcks();
  }

  throwFailure(): void {
    if (this.#failures.length > 0) throw this.#failures[0];
    if (this.#context.isUnread) {
      throw new CliError(
        ExitCode.io,
        `Cannot print more acknowledgements: the reader of standard output is gone. The first ${plural(this.#entries, 'entry', 'entries')} of the input went into the log; the rest was not read.`,
      );
    }
    this.#context.signal.throwIfAborted();
  }

  report(): void {
    const { lastLsn } = this.#wal;
    const entries = lastLsn - this.#lastLsnBefore;
    const firstLsn = entries === 0 ? 0 : this.#lastLsnBefore + 1;
    const durationMs = performance.now() - this.#startedAt;
    const { prefix } = this.#appends;
    const strays = entries - prefix.entries;
    if (this.#isJson) {
      this.#context.out.json({
        entries,
        bytes: prefix.bytes,
        firstLsn,
        lastLsn,
        durationMs: Math.round(durationMs),
        records: prefix.entries,
      });
    } else if (this.#context.isWatched || this.#failures.length > 0) {
      this.#context.error(
        `${plural(entries, 'entry', 'entries')} appended, LSN ${lsnRange(firstLsn, entries === 0 ? 0 : lastLsn)}, ${bytes(prefix.bytes)} in ${duration(durationMs)}`,
      );
    }
    if (strays > 0 && !this.#isJson) {
      this.#context.error(
        `The input is in the log without a gap up to record ${integer(prefix.entries)}, LSN ${integer(this.#lastLsnBefore + prefix.entries)}. Some of the later records are in the log, and some are not.`,
      );
    }
  }

  /** False = no room now. */
  #take(record: Uint8Array): boolean {
    if (!this.#appends.tryTake(record)) return false;
    this.#entries += 1;
    this.#bytes += record.length;
    return true;
  }

  async #wait(record: Uint8Array): Promise<void> {
    do await this.#appends.room(record.length);
    while (!this.#take(record));
  }

  #printAcks(): void {
    if (this.#acks.length === 0) return;
    this.#context.out.write(this.#acks.join(''));
    this.#acks = [];
  }

  #progress(): string {
    const ms = performance.now() - this.#startedAt;
    const rate = `${perSecond(this.#entries, ms)}, ${perSecond(this.#bytes, ms, bytes)}`;
    return `${plural(this.#entries, 'entry', 'entries')}, ${bytes(this.#bytes)} taken, ${rate}; durable up to LSN ${this.#wal.durableLsn}`;
  }
}

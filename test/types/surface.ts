/**
 * The types of the whole public surface, as its users see them: what is inferred, what is refused. Nothing of it runs; the
 * compiler is the test (`npm run check:types`), against the sources and against the built declarations.
 */
import type { ReadStream } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import { type MessagePort, Worker } from 'node:worker_threads';
import {
  type AllLanesStats,
  type AppendOptions,
  type ArchiveSegment,
  type ArchiveStats,
  type CheckpointOptions,
  type DirectoryFollowOptions,
  type EntriesOptions,
  type EntryData,
  type FollowOptions,
  type LaneStats,
  type LanesStats,
  type LogStream,
  type LogStreamOptions,
  type LsnRange,
  type NamedCheckpoint,
  type ReadersStats,
  type ReadOptions,
  type ReadSegmentOptions,
  type ReadSnapshotOptions,
  type RecoveredState,
  type RecoverOptions,
  type RecoveryStats,
  type RejectedSnapshot,
  type RepairOptions,
  type RetainFrom,
  type SegmentInfo,
  type SnapshotInfo,
  type SnapshotProgress,
  type SnapshotReport,
  type SnapshotSource,
  type SnapshotsStats,
  type VerifyProgress,
  type VerifyReport,
  type VerifySegment,
  type VerifySnapshotsOptions,
  type VerifyTrouble,
  Wal,
  type WalAttachment,
  type WalDiagnostics,
  type WalEntry,
  WalError,
  type WalErrorCode,
  type WalErrorDetails,
  type WalHistogram,
  type WalIterator,
  WalLane,
  type WalOptions,
  WalReader,
  type WalReaderOptions,
  type WalRecovery,
  type WalRecoveryCut,
  type WalRepair,
  type WalStats,
  type WriteSnapshotOptions,
} from '#ringwal';

// ── Means ───────────────────────────────────────────────────────────────────────────────────────────────────────

type Equals<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** Refuses to compile unless both are the same type, `any` and `unknown` told apart from all others. */
function same<A, B>(..._proof: Equals<A, B> extends true ? [] : ['these are not the same', A, B]): void {}

type IsAny<T> = 0 extends 1 & T ? true : false;

/** `any` in a type itself, in what a function takes and answers, in what is promised, iterated or held, six levels down. */
type HasAny<T, Depth extends 0[] = []> =
  IsAny<T> extends true
    ? true
    : Depth['length'] extends 6
      ? false
      : T extends Uint8Array | MessagePort | URL | AbortSignal | Error | Writable | Date
        ? false
        : T extends (...args: infer Args) => infer Answer
          ? true extends
              | HasAny<Answer, [...Depth, 0]>
              | { [At in keyof Args]: HasAny<Args[At], [...Depth, 0]> }[number]
            ? true
            : false
          : T extends Promise<infer Value> | readonly (infer Value)[] | ReadonlyMap<string, infer Value>
            ? HasAny<Value, [...Depth, 0]>
            : T extends object
              ? true extends { [Name in keyof T]-?: HasAny<T[Name], [...Depth, 0]> }[keyof T]
                ? true
                : false
              : false;

type Surface = [
  Pick<typeof Wal, 'open' | 'attach' | 'follow' | 'readSegment' | 'repair' | 'verify'>,
  Wal,
  WalReader,
  WalLane,
  Pick<LogStream, 'dropped' | 'flush' | 'flushSync' | 'reopen' | 'write' | 'end'>,
  WalAttachment,
  WalEntry,
  EntryData,
  WalOptions,
  WalReaderOptions,
  AppendOptions,
  ReadOptions,
  EntriesOptions,
  FollowOptions,
  LogStreamOptions,
  RepairOptions,
  WalStats,
  LaneStats,
  LanesStats,
  ReadersStats,
  RecoveryStats,
  WalHistogram,
  WalDiagnostics,
  SegmentInfo,
  WalRecovery,
  WalRecoveryCut,
  WalRepair,
  VerifyReport,
  VerifySegment,
  VerifyTrouble,
  LsnRange,
  WalErrorDetails,
  WalErrorCode,
  ArchiveSegment,
  ArchiveStats,
  CheckpointOptions,
  NamedCheckpoint,
  ReadSnapshotOptions,
  RecoveredState,
  RecoverOptions,
  RejectedSnapshot,
  RetainFrom,
  SnapshotInfo,
  SnapshotProgress,
  SnapshotReport,
  SnapshotSource,
  SnapshotsStats,
  VerifySnapshotsOptions,
  WriteSnapshotOptions,
];

// biome-ignore lint/suspicious/noExplicitAny: what is looked for
type Any = any;

export function nothingIsAny(): void {
  same<HasAny<(one: { two: Any }) => void>, true>();
  same<HasAny<{ one: () => Promise<Any[]> }>, true>();
  same<{ [At in keyof Surface]: HasAny<Surface[At]> }[number], false>();
}

// ── Opening ─────────────────────────────────────────────────────────────────────────────────────────────────────

interface Settings {
  log?: WalOptions;
}

export async function opening(
  isReader: boolean,
  options: WalOptions,
  given: WalOptions | WalReaderOptions,
  settings: Settings,
): Promise<void> {
  same<Awaited<ReturnType<typeof Wal.attach>>, WalLane>();
  const wal = await Wal.open('./log');
  same<typeof wal, Wal>();
  const log = await Wal.open(new URL('file:///log'), { readOnly: false, durable: true });
  same<typeof log, Wal>();
  const reader = await Wal.open('./log', { readOnly: true });
  same<typeof reader, WalReader>();
  const either = await Wal.open('./log', { readOnly: isReader });
  same<typeof either, Wal | WalReader>();
  const unknown = await Wal.open('./log', given);
  same<typeof unknown, Wal | WalReader>();
  if (unknown instanceof Wal) await unknown.append('x');

  // Options that are put together elsewhere are a writer's, unless they say otherwise.
  const declared: WalOptions = { durable: true };
  const byVariable = await Wal.open('./log', declared);
  same<typeof byVariable, Wal>();
  const openWith = (each: WalOptions = {}) => Wal.open('./log', each);
  same<Awaited<ReturnType<typeof openWith>>, Wal>();
  await (await openWith(options)).append('x');
  const byMember = await Wal.open('./log', settings.log);
  same<typeof byMember, Wal>();
  const bySpread = await Wal.open('./log', { ...options, maxFiles: 3 });
  same<typeof bySpread, Wal>();
  const byCondition = await Wal.open('./log', {
    ...(isReader && { maxFiles: 3 }),
    ...(isReader ? { durable: true } : {}),
  });
  same<typeof byCondition, Wal>();
  const inferred = { durable: true, ...(isReader ? { maxFiles: 3 } : undefined) };
  const byInference = await Wal.open('./log', inferred);
  same<typeof byInference, Wal>();
  const constant = { commit: 'interval', maxFiles: 3 } as const;
  const byConstant = await Wal.open('./log', constant);
  same<typeof byConstant, Wal>();
  const satisfied = await Wal.open('./log', { commit: 'group' } satisfies WalOptions);
  same<typeof satisfied, Wal>();

  const readerOptions: WalReaderOptions = { readOnly: true };
  const declaredReader = await Wal.open('./log', readerOptions);
  same<typeof declaredReader, WalReader>();
  const spreadReader = await Wal.open('./log', { ...options, readOnly: true });
  same<typeof spreadReader, WalReader>();
  const perhaps = await Wal.open('./log', { ...options, ...(isReader && { readOnly: true }) });
  same<typeof perhaps, Wal | WalReader>();
  const widened = { ...options, readOnly: isReader };
  const byWidened = await Wal.open('./log', widened);
  same<typeof byWidened, Wal | WalReader>();
  // @ts-expect-error a reader has options of its own
  const mistaken: WalOptions = { readOnly: true };
  await Wal.open('./log', mistaken);

  await Wal.open('./log', {
    durable: undefined,
    commit: 'interval',
    retainFrom: 'checkpoint',
    archive: async (segment, { signal }) => {
      same<typeof segment, ArchiveSegment>();
      same<typeof signal, AbortSignal>();
    },
    archiveTimeout: 60_000,
    maxFiles: Number.POSITIVE_INFINITY,
    recovery: 'skip-corrupt',
    preallocate: 'recycle',
    workerUrl: new URL('file:///worker.js'),
    signal: AbortSignal.timeout(1),
    onError: (error) => same<typeof error, WalError>(),
  });
  // @ts-expect-error nobody has such an option
  await Wal.open('./log', { maxFileSise: 1 });
  // @ts-expect-error one of three
  await Wal.open('./log', { recovery: 'lenient' });
  // @ts-expect-error true is not a way to do it
  await Wal.open('./log', { preallocate: true });
  // @ts-expect-error sizes are numbers
  await Wal.open('./log', { maxFileSize: '64 MiB' });
  // @ts-expect-error a directory has to be named
  await Wal.open();
  // @ts-expect-error a log is opened, not constructed
  new Wal();
  // @ts-expect-error the same of a reader
  new WalReader();
  // @ts-expect-error and of a lane
  new WalLane();
  // @ts-expect-error who only reads cannot append
  await reader.append('x');
}

// ── Appending: a log and a lane alike ───────────────────────────────────────────────────────────────────────────

export async function appending(wal: Wal | WalLane, shared: SharedArrayBuffer): Promise<void> {
  for (const data of ['text', Buffer.from('bytes'), new Uint8Array(1), new Uint8Array(shared)]) {
    same<boolean, ReturnType<typeof wal.tryAppend>>();
    wal.tryAppend(data);
  }
  // @ts-expect-error an entry is bytes or text
  wal.tryAppend({ json: true });
  // @ts-expect-error an ArrayBuffer is no view
  wal.tryAppend(new ArrayBuffer(1));
  // @ts-expect-error fire and forget has no options
  wal.tryAppend('x', { durable: true });

  const lsn = await wal.append('x', { durable: true, commit: 'group' });
  same<typeof lsn, number>();
  await wal.append('x', { durable: undefined });
  // @ts-expect-error an accepted entry cannot be withdrawn
  await wal.append('x', { signal: AbortSignal.timeout(1) });

  const batch = await wal.appendBatch(['a', Buffer.from('b')] as const, { durable: true });
  same<typeof batch, { first: number; last: number }>();
  // @ts-expect-error a batch is an array
  await wal.appendBatch(new Set(['a']));

  wal.tryEncode(10, (view) => {
    same<typeof view, Buffer>();
    return view.write('x');
  });
  // @ts-expect-error the bytes are taken when it returns
  wal.tryEncode(10, async (view) => view.write('x'));
  // @ts-expect-error it has to say how many
  wal.tryEncode(10, (view) => void view.write('x'));

  await wal.ready();
  await wal.ready(10, { signal: AbortSignal.timeout(1) });
  same<number, Awaited<ReturnType<typeof wal.sync>>>();
  await wal.sync({ signal: undefined });
  wal.flushSync();
  wal.flushSync(100);
  // @ts-expect-error milliseconds
  wal.flushSync({ timeout: 100 });
  await wal[Symbol.asyncDispose]();
}

// ── Reading ─────────────────────────────────────────────────────────────────────────────────────────────────────

export async function reading(wal: WalReader, signal: AbortSignal): Promise<void> {
  for await (const entry of wal.entries({ from: 1, to: 2, reverse: true, signal }))
    same<typeof entry, WalEntry>();
  for await (const { lsn, data } of wal.entries()) {
    same<typeof lsn, number>();
    const bytes: Uint8Array = data;
    bytes.subarray(1);
  }
  for await (const batch of wal.batches({ from: undefined })) same<typeof batch, WalEntry[]>();
  for await (const entry of wal.follow({ from: 1, signal, ref: false })) same<typeof entry, WalEntry>();
  for await (const entry of Wal.follow('./log', { from: 1, signal })) same<typeof entry, WalEntry>();
  for await (const entry of Wal.readSegment('./log/wal-0')) same<typeof entry, WalEntry>();
  const elsewhere: DirectoryFollowOptions & ReadSegmentOptions = { workerUrl: '/srv/app/worker.js' };
  for await (const entry of Wal.follow('./log', { ...elsewhere, from: 1 })) same<typeof entry, WalEntry>();
  for await (const entry of Wal.readSegment('./log/wal-0', elsewhere)) same<typeof entry, WalEntry>();
  const byHand: WalIterator<WalEntry> = wal.entries();
  const { value, done } = await byHand.next();
  same<[typeof value, typeof done], [WalEntry | undefined, boolean | undefined]>();
  await byHand.return();
  Readable.from(wal.entries()).pipe(process.stdout);
  same<Awaited<ReturnType<WalReader['get']>>, WalEntry | undefined>();
  same<ReturnType<WalReader['segments']>, SegmentInfo[]>();
  same<[number, number, number], [Wal['firstLsn'], WalReader['lastLsn'], WalReader['durableLsn']]>();
  same<WalReader['recovery'], WalRecovery>();
  same<WalRecovery['verdict'], 'clean' | 'torn' | 'corrupt' | 'unsupported'>();
  // @ts-expect-error batches go forward only
  wal.batches({ reverse: true });
  // @ts-expect-error a log that is open has its threads
  wal.follow({ workerUrl: '/srv/app/worker.js' });
  // @ts-expect-error a file is read from its start
  Wal.readSegment('./log/wal-0', { from: 1 });
  // @ts-expect-error a follower has no end to stop at
  wal.follow({ to: 3 });
  // @ts-expect-error LSNs are numbers
  await wal.get(1n);
  // @ts-expect-error what the log says of itself is not to be changed
  wal.lastLsn = 1;
}

// ── Snapshots ───────────────────────────────────────────────────────────────────────────────────────────────────

export async function keeping(wal: Wal, reader: WalReader, file: ReadStream): Promise<void> {
  const bytes = new Uint8Array(1);
  const written = await wal.writeSnapshot(1, [bytes], { keep: 3, format: 'v3', maxBytesPerSecond: 1e6 });
  same<typeof written, SnapshotInfo>();
  async function* pieces() {
    yield Buffer.from('');
    return 1;
  }
  await wal.writeSnapshot(1, pieces());
  await wal.writeSnapshot(1, file);
  await wal.writeSnapshot(1, Readable.from([]));
  await wal.writeSnapshot(1, new Set([bytes]).values());
  const source: SnapshotSource = reader.readSnapshot(1, { signal: AbortSignal.timeout(1) });
  await wal.writeSnapshot(1, source, { signal: undefined });
  // @ts-expect-error bytes at hand come in an array
  await wal.writeSnapshot(1, bytes);
  // @ts-expect-error text is no bytes
  await wal.writeSnapshot(1, ['text']);
  // @ts-expect-error a reader writes nothing
  await reader.writeSnapshot(1, []);
  same<ReturnType<WalReader['snapshots']>, SnapshotInfo[]>();
  const reports = await reader.verifySnapshots({
    onProgress: (progress) => same<typeof progress, SnapshotProgress>(),
  });
  same<typeof reports, SnapshotReport[]>();
  const recovered = await wal.recover({
    load: (stream, info) => {
      same<typeof stream, WalIterator<Uint8Array>>();
      same<typeof info, SnapshotInfo>();
    },
    apply: (batch) => same<typeof batch, WalEntry[]>(),
  });
  same<typeof recovered, RecoveredState>();
  same<typeof recovered.rejected, readonly RejectedSnapshot[]>();
  // @ts-expect-error both are needed
  await wal.recover({ load() {} });
  same<ReturnType<Wal['removeSnapshot']>, Promise<void>>();
  await Wal.open('./log', { retainFrom: ['checkpoint', 'snapshot'] });
  // @ts-expect-error one of two
  await Wal.open('./log', { retainFrom: ['else'] });
}

// ── The log as a whole ──────────────────────────────────────────────────────────────────────────────────────────

export async function managing(wal: Wal): Promise<void> {
  same<ReturnType<Wal['checkpoint' | 'truncateBefore' | 'truncateAfter' | 'close']>, Promise<void>>();
  await wal.checkpoint(1);
  await wal.checkpoint(1, { name: 'mailer', data: new Uint8Array(1) });
  await wal.checkpoint(1, { name: 'mailer', data: 'text' });
  same<ReturnType<Wal['removeCheckpoint']>, Promise<boolean>>();
  same<WalReader['checkpoints'], ReadonlyMap<string, NamedCheckpoint>>();
  // @ts-expect-error a copy that cannot be changed
  wal.checkpoints.set('mailer', { lsn: 1, data: new Uint8Array(0) });
  same<Wal['checkpointLsn'], number>();
  same<ReturnType<Wal['stats']>, WalStats>();
  const lanes: LanesStats = wal.stats().lanes;
  const all: AllLanesStats = wal.stats().allLanes;
  const lane: LaneStats = wal.stats();
  const recovered: RecoveryStats = wal.stats().recovered;
  const snapshots: SnapshotsStats = wal.stats().snapshots;
  const readers: ReadersStats = wal.stats().readers;
  const latency: WalHistogram = wal.stats().syncMicros;
  const error: WalError = ({} as WalDiagnostics['error']).error;
  console.log(
    lanes.open,
    all.fullestRingUsed,
    lane.accepted,
    recovered.cutBytes,
    snapshots.newestAgeMs,
    readers.pinnedMs,
    latency.p99,
    error.code,
  );
  same<Awaited<ReturnType<typeof Wal.verify>>, VerifyReport>();
  const repaired = await Wal.repair('./log', { mode: 'salvage', dryRun: true, fileMode: 0o640 });
  same<typeof repaired, WalRepair>();
  await Wal.repair('./log', { workerUrl: new URL('file:///worker.js') });
  const verified = await Wal.verify('./log', {
    workerUrl: new URL('file:///worker.js'),
    onProgress: (progress) => same<typeof progress, VerifyProgress>(),
  });
  same<typeof verified, VerifyReport>();
  // @ts-expect-error a path or a URL
  await Wal.verify('./log', { workerUrl: 5 });
  // @ts-expect-error there are two modes
  await Wal.repair('./log', { mode: 'guess' });
}

// ── Threads ─────────────────────────────────────────────────────────────────────────────────────────────────────

export async function attaching(wal: Wal, lane: WalLane, received: unknown): Promise<void> {
  const attachment = wal.attachment();
  same<typeof attachment, WalAttachment>();
  same<ReturnType<WalLane['attachment']>, WalAttachment>();
  same<WalAttachment['transferList'], MessagePort[]>();
  new Worker('./worker.js', { workerData: attachment, transferList: attachment.transferList });
  same<ReturnType<WalLane['stats']>, LaneStats>();
  await Wal.attach(attachment);
  // @ts-expect-error not whatever has ports
  await Wal.attach({ transferList: [] });
  // @ts-expect-error what came from elsewhere has to be vouched for
  await Wal.attach(received);
  // @ts-expect-error the log is the opening thread's
  await lane.truncateBefore(1);
  // @ts-expect-error who is attached appends
  lane.entries();
}

// ── Streams ─────────────────────────────────────────────────────────────────────────────────────────────────────

export function streaming(wal: Wal, lane: WalLane, source: ReadStream): void {
  const stream = wal.createLogStream();
  same<typeof stream, LogStream>();
  same<ReturnType<WalLane['createLogStream']>, LogStream>();
  const writable: Writable = lane.createLogStream({ onFull: 'drop' });
  source.pipe(writable);
  same<LogStream['dropped'], number>();
  const isClear: boolean = stream.write('line\n', 'latin1', (error) =>
    same<typeof error, Error | null | undefined>(),
  );
  stream.flush((error) => console.log(error, isClear));
  stream.on('drop', (line) => console.log(line));
  stream.end('last');
  // @ts-expect-error lines are text or bytes
  stream.write({ level: 30 });
  lane.createLogStream({ stripCarriageReturn: true, emptyLines: 'skip' });
  stream.flush(null);
  same<typeof stream.writableLength, number>();
  // @ts-expect-error one of two
  wal.createLogStream({ onFull: 'block' });
  // @ts-expect-error one of two
  wal.createLogStream({ emptyLines: true });
  // @ts-expect-error it has no object mode
  wal.createLogStream({ objectMode: true });
}

// ── Errors ──────────────────────────────────────────────────────────────────────────────────────────────────────

export function failing(thrown: unknown): string | undefined {
  if (!(thrown instanceof WalError)) return undefined;
  same<typeof thrown.code, WalErrorCode>();
  same<typeof thrown.path, string | undefined>();
  same<[typeof thrown.lsn, typeof thrown.offset], [number | undefined, number | undefined]>();
  same<typeof thrown.cause, unknown>();
  // @ts-expect-error no error has this code
  if (thrown.code === 'ERR_WAL_BUSY') return undefined;
  return wayOut(thrown.code);
}

/** Every code is known: a new one does not compile until it stands here. */
function wayOut(code: WalErrorCode): string {
  switch (code) {
    case 'ERR_WAL_OPTION':
    case 'ERR_WAL_TOO_LARGE':
    case 'ERR_WAL_READ_ONLY':
    case 'ERR_WAL_CONFLICT':
      return 'change the call';
    case 'ERR_WAL_FULL':
    case 'ERR_WAL_TIMEOUT':
    case 'ERR_WAL_LOCKED':
      return 'try again later';
    case 'ERR_WAL_CORRUPT':
    case 'ERR_WAL_UNSUPPORTED':
      return 'repair or import';
    case 'ERR_WAL_FENCED':
    case 'ERR_WAL_DIVERGED':
      return 'take over, or restore';
    case 'ERR_WAL_REPLICA':
      return 'wait for the replica';
    case 'ERR_WAL_PURGED':
    case 'ERR_WAL_TRUNCATED':
      return 'read from elsewhere';
    case 'ERR_WAL_IO':
    case 'ERR_WAL_SYNC_FAILED':
    case 'ERR_WAL_CLOSED':
    case 'ERR_WAL_WORKER_DIED':
      return 'open it again';
  }
}

import { LsnSet } from '../../format/lsn-set.js';
import type { StoppedJob } from '../../protocol/backup-reports.js';
import type { BegunCompaction, CompactedRun, CompactRunAnswer } from '../../protocol/compaction.js';
import type { Failure } from '../../protocol/errors.js';
import type { JobControl } from '../../protocol/job-control.js';
import type { AnyCommand, CommandResult } from '../../protocol/lane-messages.js';
import type { Lane } from '../append/lane.js';
import { closedError } from '../append/lane-errors.js';
import { errorFromFailure } from '../errors/wal-error.js';
import type { CompactionJobs } from '../jobs/compaction-jobs.js';
import { hasField } from '../jobs/own-field.js';
import { runStoppable } from '../jobs/stoppable-job.js';
import type { CheckedCompaction } from '../options/compact-options.js';
import type { LiveView } from '../read/live-view.js';
import { type Candidate, type CompactionPlan, type PlannedRun, planRuns, toSurvey } from './plan-runs.js';

/** The result of {@link Wal.compact}. */
export interface CompactReport {
  /** Runs of segments that were written anew, each as one segment. */
  readonly runs: number;
  /** Segments that these were. */
  readonly segments: number;
  /** Entries that were dropped. */
  readonly entriesDropped: number;
  /** Bytes of segments read. */
  readonly bytesRead: number;
  /** Bytes of segments written. */
  readonly bytesWritten: number;
  /** Bytes that the log's segments take less than before. */
  readonly bytesReclaimed: number;
  /** Runs that were not put in their place, since a cut, retention or a full disk came first. */
  readonly runsGivenUp: number;
  /** Milliseconds. */
  readonly durationMs: number;
}

/** Compactions of the open log, in figures: {@link WalStats.compactions}. Counts are since it was opened. */
export interface CompactionsStats {
  /** Calls of `compact` and `erase` that have not ended. */
  readonly running: number;
  /** Calls that have completed. */
  readonly completed: number;
  /** Calls that failed. Those that their signal or `close` ended are not among them. */
  readonly failed: number;
  /** Runs of segments that were written anew, each as one segment. */
  readonly runs: number;
  /** Entries that were dropped. */
  readonly entriesDropped: number;
  /** Bytes of segments read. */
  readonly bytesRead: number;
  /** Bytes of segments written. */
  readonly bytesWritten: number;
  /** Bytes that the log's segments take less. */
  readonly bytesReclaimed: number;
}

export interface CompactionsParts {
  readonly lane: Lane;
  readonly view: LiveView;
  readonly jobs: CompactionJobs;
  readonly fileMode: number;
  readonly maxFileSize: number;
  readonly nowMs: () => number;
  /** Runs `swap` while no backup copies segments. */
  readonly withoutBackups: <T>(swap: () => Promise<T>) => Promise<T>;
}

type Tally = { -readonly [name in Exclude<keyof CompactReport, 'durationMs'>]: number };

/** One call, and what it has done so far. */
interface Call {
  readonly checked: CheckedCompaction;
  /** For `erase`, which also reaches the newest entries. */
  readonly sealsLive: boolean;
  readonly control: JobControl;
  readonly tally: Tally;
}

/**
 * Compactions of the log that this process writes, one at a time: the opening thread's part of the steps in
 * src/worker/commands/compaction-commands.ts.
 */
export class Compactions {
  readonly #parts: CompactionsParts;
  #turn: Promise<unknown> = Promise.resolve();
  readonly #controls = new Set<JobControl>();
  #isClosing = false;
  #calls = 0;
  #completed = 0;
  #failed = 0;
  readonly #sums: Tally = emptyTally();

  constructor(parts: CompactionsParts) {
    this.#parts = parts;
  }

  async run(checked: CheckedCompaction, sealsLive: boolean): Promise<CompactReport> {
    const { view, nowMs } = this.#parts;
    const { signal } = checked;
    signal?.throwIfAborted();
    view.assertOpen();
    this.#calls += 1;
    const startedMs = nowMs();
    const tally = emptyTally();
    const whyStopped = () => closedError(view.directory);
    const work = (control: JobControl) => this.#run({ checked, sealsLive, control, tally });
    try {
      await this.#inTurn(() => runStoppable(checked, work, () => {}, whyStopped));
      this.#completed += 1;
      return { ...tally, durationMs: nowMs() - startedMs };
    } catch (error) {
      const isAborted = signal?.aborted === true && error === signal.reason;
      if (!isAborted && !this.#isClosing) this.#failed += 1;
      throw error;
    } finally {
      this.#calls -= 1;
      for (const name of Object.keys(tally) as (keyof Tally)[]) this.#sums[name] += tally[name];
    }
  }

  read(): CompactionsStats {
    const { runs, entriesDropped, bytesRead, bytesWritten, bytesReclaimed } = this.#sums;
    const sums = { runs, entriesDropped, bytesRead, bytesWritten, bytesReclaimed };
    return { running: this.#calls, completed: this.#completed, failed: this.#failed, ...sums };
  }

  /** Stops what is running. Resolves once it has let go of every file. */
  async close(): Promise<void> {
    this.#isClosing = true;
    for (const control of this.#controls) control.stop();
    await this.#turn;
  }

  async #run(call: Call): Promise<Tally | StoppedJob> {
    const { checked, sealsLive, control, tally } = call;
    this.#controls.add(control);
    try {
      if (this.#isClosing) return { stopped: true };
      await this.#parts.lane.sync(checked.signal);
      const begun = (await this.#command({ name: 'beginCompaction', lsn: 0, sealsLive })) as BegunCompaction;
      const plan = await this.#plan(call, begun);
      if (plan === undefined) return { stopped: true };
      control.start(plan.runs.reduce((sum, { keptBytes }) => sum + keptBytes, 0));
      for (const run of plan.runs) {
        if (!(await this.#compactRun(call, begun, plan, run))) return { stopped: true };
      }
      return tally;
    } finally {
      this.#controls.delete(control);
    }
  }

  /** `undefined`: it was stopped. */
  async #plan(
    { checked: { drop, upTo, minGarbage }, control }: Call,
    { logId, end }: BegunCompaction,
  ): Promise<CompactionPlan | undefined> {
    const { view, jobs, maxFileSize } = this.#parts;
    const { directory } = view;
    const wanted = LsnSet.of(drop);
    const candidates: Candidate[] = view
      .segments()
      .filter(({ number, firstLsn, lastLsn }) => number < end && firstLsn > 0 && lastLsn <= upTo);
    const segments = toSurvey(candidates, wanted);
    const request = { directory, logId, segments, drop: wanted.pairs, control: control.buffer };
    const survey = taken(await jobs.survey(request));
    if (survey === undefined) return undefined;
    return planRuns(candidates, survey.segments, wanted, { minGarbage, maxFileSize });
  }

  /** False: it was stopped. */
  async #compactRun(
    call: Call,
    begun: BegunCompaction,
    plan: CompactionPlan,
    { segments }: PlannedRun,
  ): Promise<boolean> {
    let written = await this.#write(call, begun, plan, segments);
    if (isEmpty(written)) {
      // Another segment has to stand for the LSNs: the one before, or the one after.
      const wider = this.#widen(segments, begun.end);
      if (wider === undefined) {
        await this.#dropOldest(call, segments, begun);
        return true;
      }
      written = await this.#write(call, begun, plan, segments, wider);
    }
    if (written === undefined) return false;
    if (isEmpty(written)) call.tally.runsGivenUp += 1;
    else await this.#install(call, written, begun);
    return true;
  }

  /** `segments`: those that are `planned`, and perhaps another one, which keeps its entries. `undefined`: it was stopped. */
  async #write(
    { checked: { bytesPerSecond }, control }: Call,
    { logId, place }: BegunCompaction,
    { drop }: CompactionPlan,
    planned: readonly number[],
    segments: readonly number[] = planned,
  ): Promise<CompactRunAnswer | undefined> {
    const { view, jobs, fileMode } = this.#parts;
    const { directory } = view;
    const known = view.segments();
    const last = known.findIndex(({ number }) => number === segments.at(-1));
    const lastNumber = (known[last + 1]?.number ?? 0) - 1;
    const own = known.filter(({ number }) => planned.includes(number));
    // Of a batch that goes on in another segment the plan has left no entry to drop on this side alone.
    const { pairs } = drop.within(own[0]?.firstLsn ?? 0, own.at(-1)?.lastLsn ?? 0);
    const request = { directory, place, logId, segments, lastNumber, drop: pairs, fileMode, bytesPerSecond };
    return taken(await jobs.write({ ...request, control: control.buffer }));
  }

  async #install({ sealsLive, tally }: Call, run: CompactedRun, { cuts }: BegunCompaction): Promise<void> {
    const { firstLsn: lsn } = run;
    tally.bytesRead += run.bytesRead;
    tally.bytesWritten += run.bytes;
    if (!(await this.#swap({ name: 'installCompaction', lsn, run, cuts, sealsLive }, tally))) return;
    tally.segments += run.sources.length;
    tally.entriesDropped += run.droppedEntries;
    tally.bytesReclaimed += run.bytesRead - run.bytes;
  }

  /** The segments with one more: before them, or, at the beginning of the log, after them. */
  #widen(segments: readonly number[], end: number): readonly number[] | undefined {
    const known = this.#parts.view.segments().map(({ number }) => number);
    const before = known[known.indexOf(segments[0] as number) - 1];
    if (before !== undefined) return [before, ...segments];
    const after = known[known.indexOf(segments.at(-1) as number) + 1];
    return after === undefined || after >= end ? undefined : [...segments, after];
  }

  /** Nothing of the segments is left, and no other one may stand for their LSNs: the log begins after them. */
  async #dropOldest({ tally }: Call, segments: readonly number[], { cuts }: BegunCompaction): Promise<void> {
    const gone = this.#parts.view.segments().filter(({ number }) => segments.includes(number));
    const upTo = segments.at(-1) as number;
    if (!(await this.#swap({ name: 'dropOldest', lsn: 0, upTo, cuts }, tally))) return;
    tally.segments += gone.length;
    tally.entriesDropped += gone.reduce((sum, { firstLsn, lastLsn }) => sum + lastLsn - firstLsn + 1, 0);
    tally.bytesReclaimed += gone.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** Has the writer put the run in its place; false: it has refused. */
  async #swap(command: AnyCommand, tally: Tally): Promise<boolean> {
    const answer = await this.#parts.withoutBackups(() => this.#command(command));
    const isInstalled = answer !== undefined && 'installed' in answer && answer.installed;
    if (isInstalled) tally.runs += 1;
    else tally.runsGivenUp += 1;
    return isInstalled;
  }

  #command(command: AnyCommand): Promise<CommandResult | undefined> {
    return this.#parts.lane.command(command);
  }

  #inTurn<T>(act: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(act);
    this.#turn = done.catch(() => {
      // The caller has it.
    });
    return done;
  }
}

function isEmpty(answer: CompactRunAnswer | undefined): answer is { readonly empty: true } {
  return answer !== undefined && hasField(answer, 'empty');
}

/** @throws WalError; `undefined`: the job was stopped */
function taken<T extends object>(answer: T | StoppedJob | { readonly failure: Failure }): T | undefined {
  if (hasField(answer, 'failure')) throw errorFromFailure((answer as { readonly failure: Failure }).failure);
  return hasField(answer, 'stopped') ? undefined : (answer as T);
}

function emptyTally(): Tally {
  return {
    runs: 0,
    segments: 0,
    entriesDropped: 0,
    bytesRead: 0,
    bytesWritten: 0,
    bytesReclaimed: 0,
    runsGivenUp: 0,
  };
}

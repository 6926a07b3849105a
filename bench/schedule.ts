import { fork } from 'node:child_process';
import { closeSync, fsyncSync, mkdirSync, mkdtempSync, openSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CONTENDERS } from './contenders/all.js';
import { wantedNodeOf } from './machine.js';
import { warmPageCache } from './measure/page-cache.js';
import type { CaseResult, Skipped } from './results.js';
import type { Outcome, Scale, Task, Workload } from './workloads/workload.js';

export interface Schedule {
  /** Root of the repository. */
  readonly root: string;
  /** The program built from child.ts. */
  readonly childProgram: string;
  /** Directory of the measured files. */
  readonly scratch: string;
  readonly scale: Scale;
  readonly workloads: readonly Workload[];
  readonly rounds: number;
  /** A round begins only if it will end within this time, judging by the earlier rounds. Nothing begins later. */
  readonly budgetMs: number;
}

/** Receives progress reports for the user. */
export interface Progress {
  starting(label: string, done: number, total: number, round: number): void;
  skipped(skipped: Skipped): void;
}

export interface Measured {
  readonly cases: readonly CaseResult[];
  readonly skipped: readonly Skipped[];
  readonly rounds: number;
}

/** A child that takes longer is considered to hang. */
const CHILD_TIMEOUT_MS = { full: 300_000, quick: 20_000 } as const;
const STDERR_SHOWN_CHARACTERS = 400;
const RUN_PREFIX = 'run-';

interface Case {
  readonly workload: Workload;
  readonly contender: string;
  readonly entryBytes: number;
  readonly outcomes: Outcome[];
}

/**
 * Measures in rounds. Each round runs every case once. The contenders of a workload run directly after each other,
 * because ratios matter and the speed of disks changes within minutes. Every other round runs in reverse order, so
 * that no contender always follows the same one.
 */
export async function measure(schedule: Schedule, progress: Progress): Promise<Measured> {
  const skipped: Skipped[] = [];
  const skip = (what: string, why: string, failed?: Case) => {
    const entry: Skipped = {
      what,
      why: withoutPaths(why, schedule.root),
      hasFailed: failed !== undefined,
      ...(failed !== undefined && { contender: failed.contender }),
    };
    skipped.push(entry);
    progress.skipped(entry);
  };
  const runnable = await withoutObstacles(schedule, skip);
  let cases = runnable.workloads.flatMap((workload) => casesOf(workload, schedule.scale, runnable.absent));
  const ended: Case[] = [];

  const startedMs = performance.now();
  let longestMs = 0;
  let round = 0;
  for (; round < schedule.rounds; round++) {
    const beganMs = performance.now();
    if (round > 0 && beganMs - startedMs + longestMs > schedule.budgetMs) break;
    const due = cases.filter(({ workload }) => round === 0 || !workload.isCount);
    for (const [done, each] of (round % 2 === 0 ? due : backwards(due)).entries()) {
      if (performance.now() - startedMs > schedule.budgetMs) {
        if (round === 0) skip(labelOf(each), 'no time was left for it');
        continue;
      }
      progress.starting(labelOf(each), done, due.length, round);
      try {
        each.outcomes.push(await runCase(schedule, each, round));
      } catch (error) {
        skip(labelOf(each), (error as Error).message, each);
        cases = cases.filter((other) => other !== each);
        ended.push(each);
      }
    }
    longestMs = Math.max(longestMs, performance.now() - beganMs);
  }
  return { cases: [...cases, ...ended].map(resultOf), skipped, rounds: round };
}

/** Leaves out cases that cannot run on this machine, and reports them. */
async function withoutObstacles(
  schedule: Schedule,
  skip: (what: string, why: string) => void,
): Promise<{ workloads: Workload[]; absent: ReadonlySet<string> }> {
  const workloads = schedule.workloads.filter(({ title, obstacle }) => {
    const why = obstacle?.();
    if (why !== undefined) skip(title, why);
    return why === undefined;
  });
  const asked = new Set(workloads.flatMap(({ contenders }) => contenders));
  const absent = new Set<string>();
  for (const { name, package: packageName } of CONTENDERS) {
    if (packageName === undefined || !asked.has(name)) continue;
    try {
      await inScratch(schedule, (directory) => runChild(schedule, ['probe', name, directory]));
    } catch (error) {
      const wanted = wantedNodeOf(schedule.root, packageName);
      // The package is not installed, or not built for this machine.
      const why =
        wanted === undefined
          ? `not installed; npm install --no-save --ignore-scripts ${packageName}, where the machine and this version of Node have a build of it`
          : `${(error as Error).message} (it asks for Node ${wanted})`;
      skip(name, why);
      absent.add(name);
    }
  }
  return { workloads, absent };
}

function casesOf(workload: Workload, scale: Scale, absent: ReadonlySet<string>): Case[] {
  const contenders = workload.contenders.filter((name) => !absent.has(name));
  return workload
    .sizes(scale)
    .flatMap((entryBytes) =>
      contenders.map((contender) => ({ workload, contender, entryBytes, outcomes: [] })),
    );
}

function backwards<T>(items: readonly T[]): T[] {
  return [...items].reverse();
}

function runCase(
  schedule: Schedule,
  { workload, contender, entryBytes }: Case,
  round: number,
): Promise<Outcome> {
  return inScratch(schedule, async (directory) => {
    const task: Task = {
      workload: workload.name,
      contender,
      entryBytes,
      scale: schedule.scale,
      round,
      directory,
    };
    if (workload.fillsPageCache === true && schedule.scale === 'full') warmPageCache(schedule.scratch);
    return (await runChild(schedule, ['run', JSON.stringify(task)])) as Outcome;
  });
}

/** Runs `work` in a new directory, and waits until the disk has finished before the next measurement begins. */
async function inScratch<T>({ scratch }: Schedule, work: (directory: string) => Promise<T>): Promise<T> {
  mkdirSync(scratch, { recursive: true });
  const directory = mkdtempSync(join(scratch, RUN_PREFIX));
  try {
    return await work(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
    const fd = openSync(scratch, 'r');
    fsyncSync(fd);
    closeSync(fd);
  }
}

function runChild(schedule: Schedule, args: readonly string[]): Promise<unknown> {
  const child = fork(schedule.childProgram, args, {
    cwd: schedule.root,
    execArgv: [],
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
    timeout: CHILD_TIMEOUT_MS[schedule.scale],
  });
  let complaint = '';
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    complaint += text;
  });
  return new Promise((resolve, reject) => {
    let answer: { value: unknown } | undefined;
    child.once('message', (value) => {
      answer = { value };
    });
    child.once('error', reject);
    // The event is `close`, not `exit`, because only then all of standard error has been read.
    child.once('close', (code, signal) => {
      if (answer !== undefined) resolve(answer.value);
      else reject(new Error(describeEnd(code, signal, complaint)));
    });
  });
}

function describeEnd(code: number | null, signal: string | null, complaint: string): string {
  const message = /^(?:\w*Error\b.*)$/m.exec(complaint)?.[0] ?? complaint.trim();
  const end = signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`;
  return message === '' ? end : `${end}: ${message.slice(0, STDERR_SHOWN_CHARACTERS)}`;
}

/** Removes the files of an interrupted run. */
export function removeRuns(scratch: string): void {
  for (const name of readdirSync(scratch)) {
    if (name.startsWith(RUN_PREFIX)) rmSync(join(scratch, name), { recursive: true, force: true });
  }
}

/** Paths of this machine mean nothing elsewhere. */
function withoutPaths(text: string, root: string): string {
  return text.replaceAll(root, '');
}

function labelOf({ workload, contender, entryBytes }: Case): string {
  return `${workload.name}, ${entryBytes} B, ${contender}`;
}

function resultOf({ workload, contender, entryBytes, outcomes }: Case): CaseResult {
  return { workload: workload.name, contender, entryBytes, outcomes };
}

import { basename } from 'node:path';
import { type Disk, isMissing } from '../../files/disk.js';
import { createNodeDisk } from '../../files/node-disk.js';
import { FileShrank } from '../../files/windowed-source.js';
import { assessDamage, type Damage } from '../../format/damage.js';
import type { KnownWalks } from '../../format/log-walk.js';
import { parseSegmentName } from '../../format/segment-name.js';
import { type Judgement, judgeLog } from '../../format/verdict.js';
import type { Failure } from '../../protocol/errors.js';
import { announce, contentSizesOf, counted, type Layout, layOut, sizesOf } from '../directory/log-layout.js';
import { openSource } from '../directory/log-listing.js';
import { failureOf } from '../errors/failure.js';
import { checkEvery } from './check-block.js';
import { type DivisionSizes, divideWalk, type WalkRequest } from './divided-walk.js';

/** A job of the pool: judges the log in a directory. */
export interface InspectRequest {
  readonly directory: string;
  /** Read every frame, not only those from the segment that holds the watermark. */
  readonly full: boolean;
  /** See `counted`. Some bytes are read again if there is damage, or if a writer is at work. */
  readonly progress?: SharedArrayBuffer | undefined;
  /** Findings of the jobs of a [Division]. */
  readonly known?: KnownWalks | undefined;
}

/** The same, unless the log is so large that the work should be divided. */
export interface InspectOrDivideRequest extends InspectRequest {
  readonly sizes: DivisionSizes;
}

export interface Inspection {
  readonly judgement: Judgement;
  readonly foreignFiles: readonly string[];
  /** A `truncateAfter` was interrupted: bytes after the log's end in its files are no longer part of the log. */
  readonly isCutDue: boolean;
  /** Why the state file could not be read, if that was so. */
  readonly stateFault: string | undefined;
  /** Only if every frame was to be read. */
  readonly damage: Damage | undefined;
}

/** A writer at work moves the tail while it is being read; after so many looks the last verdict counts. */
const LOOKS_MAX = 10;

/** The jobs to be done before the log is judged, oldest segments first. */
export interface Division {
  readonly walks: readonly WalkRequest[];
}

/**
 * Judges a log without touching it. While a process writes the log, one look cannot judge its tail: a verdict "corrupt" or
 * "torn" counts only if the next look finds that the log ends at the same entry.
 */
export function inspect(request: InspectRequest): Inspection | { readonly failure: Failure } {
  return inspectOn(createNodeDisk(), request);
}

export function inspectOn(disk: Disk, request: InspectRequest): Inspection | { readonly failure: Failure } {
  return attempt(request, () => inspectLayout(disk, layOut(disk, request.directory), request));
}

export function inspectOrDivide(
  request: InspectOrDivideRequest,
): Inspection | Division | { readonly failure: Failure } {
  const disk = createNodeDisk();
  return attempt<Inspection | Division>(request, () => {
    const layout = layOut(disk, request.directory);
    const walks = divideWalk(layout, request.sizes, request.progress);
    return walks === undefined ? inspectLayout(disk, layout, request) : { walks };
  });
}

function attempt<T>({ directory }: InspectRequest, act: () => T): T | { readonly failure: Failure } {
  for (let looks = 1; ; looks++) {
    try {
      return act();
    } catch (error) {
      if (looks < LOOKS_MAX && isMoving(error)) continue;
      return { failure: failureOf(error, `read "${directory}"`, directory) };
    }
  }
}

/** A writer at work has cut a segment that it sealed, or removed one that retention gave up, between two looks at it. */
function isMoving(error: unknown): boolean {
  if (error instanceof FileShrank) return true;
  const { path = '' } = error as { readonly path?: string };
  return isMissing(error) && parseSegmentName(basename(path)) !== undefined;
}

function inspectLayout(disk: Disk, layout: Layout, request: InspectRequest): Inspection {
  const { full, known } = request;
  let seen = look(layout, request, known);
  for (let looks = 1; seen.judgement.verdict !== 'clean' && looks < LOOKS_MAX; looks++) {
    const { lastLsn, row, end } = seen.judgement;
    // The segment in which the log ends must be read again: earlier findings on it do not count.
    const before = known && new Map([...known].filter(([number]) => number < end.segment));
    seen = look(layOut(disk, layout.directory), request, before);
    if (seen.judgement.lastLsn === lastLsn && seen.judgement.row === row) break;
  }
  const { files, ...inspection } = seen;
  return {
    ...inspection,
    damage: full ? assessDamage(files, inspection.judgement, checkEvery(layout.directory)) : undefined,
  };
}

/** A job of the pool: one segment file, judged without its neighbours. */
export interface InspectFileRequest {
  readonly path: string;
  /** n of the segment, as its own frames say. */
  readonly number: number;
}

export function inspectFile(request: InspectFileRequest): Judgement | { readonly failure: Failure } {
  const { path, number } = request;
  try {
    const open = () => openSource(createNodeDisk(), path);
    return judgeLog({ segments: [{ number, open }], state: undefined, full: true });
  } catch (error) {
    return { failure: failureOf(error, `read "${path}"`, path) };
  }
}

interface Look extends Omit<Inspection, 'damage'> {
  readonly files: Layout['files'];
}

function look(layout: Layout, request: InspectRequest, known: KnownWalks | undefined): Look {
  const { full, progress } = request;
  const check = full ? checkEvery(layout.directory) : undefined;
  const { state, cut, foreignFiles, snapshots, isBeingSalvaged } = layout;
  let files = layout.files;
  if (progress !== undefined) {
    announce(progress, sizesOf(files));
    files = counted(files, progress);
    announce(progress, contentSizesOf(files));
  }
  return {
    files,
    judgement: judgeLog({ segments: files, state, full: full || isBeingSalvaged, known, check, snapshots }),
    foreignFiles,
    isCutDue: cut !== undefined,
    stateFault: state !== undefined && 'fault' in state ? state.fault : undefined,
  };
}

import { basename } from 'node:path';
import type { DiskFile } from '../../src/files/disk.js';
import { parseSegmentName, STATE_FILE_ASIDE } from '../../src/format/segment-name.js';
import type { Kernel } from '../../src/ring/kernel/kernel.js';
import { createReferenceKernel } from '../../src/ring/kernel/reference.js';
import type { LaneViews } from '../../src/ring/layout.js';
import { SteppedSyncer, type SyncerHost } from '../../src/testing/stepped-syncer.js';
import type { SyncJob } from '../../src/worker/sync/sync-job.js';
import { SyncRound } from '../../src/worker/sync/sync-round.js';
import { DIRECTORY } from '../worker/support/test-log.js';
import type { LifeSettings } from './random-life.js';

/** A log with a mistake that breaks its promises. */
export interface Mutant {
  readonly mistake: string;
  readonly settings: LifeSettings;
  /** The complaint that must come: a complaint about anything else does not count. */
  readonly complaint: RegExp;
}

/** From the model, or from the log, which refuses to open. */
const LOST = /were acknowledged|hold acknowledged/;

class AcknowledgesFirst extends SyncRound {
  override run(job: SyncJob): number {
    this.announce(job, 0);
    this.sync(job);
    return 0;
  }
}

/** Acknowledges, after its sync, also what was written while the sync ran. */
class AcknowledgesWhatCameMeanwhile extends SyncRound {
  #lsnBefore: number | undefined;
  #isSynced = false;

  syncEarly(job: SyncJob): void {
    this.#lsnBefore ??= this.parts.status.get('durableLsn');
    super.sync(job);
    this.#isSynced = true;
  }

  protected override sync(job: SyncJob): void {
    if (!this.#isSynced) super.sync(job);
    this.#isSynced = false;
  }

  protected override announce(job: SyncJob, durationMs: number): void {
    super.announce(job, durationMs);
    const before = this.#lsnBefore ?? 0;
    const entries = this.parts.status.get('lastLsn') - before;
    this.parts.channels.get(0)?.acknowledge('durable', [1, entries, before + 1]);
  }
}

class StartsEarly extends SteppedSyncer {
  constructor(host: SyncerHost) {
    super({ ...host, createRound: (parts) => new AcknowledgesWhatCameMeanwhile(parts) });
  }

  override start(job: SyncJob<DiskFile>): void {
    if (job.files.length > 0) (this.round as AcknowledgesWhatCameMeanwhile).syncEarly(job);
    super.start(job);
  }
}

class SyncsLiveSegmentOnly extends SyncRound {
  protected override sync(job: SyncJob): void {
    super.sync({ ...job, files: job.files.slice(-1) });
  }
}

class SyncsAgainAfterFailure extends SyncRound {
  protected override sync(job: SyncJob): void {
    try {
      super.sync(job);
    } catch {
      super.sync(job);
    }
  }
}

/** Frames are valid, but do not record what is durable: `synced_lsn` is always 0. */
function createForgetfulKernel(views: LaneViews): Kernel {
  const kernel = createReferenceKernel(views);
  return {
    name: kernel.name,
    frameRun(run) {
      run.syncedLsn = Math.min(run.syncedLsn, 0);
      kernel.frameRun(run);
    },
    packRun: (pack) => kernel.packRun(pack),
  };
}

/** The files are damaged now and then. Entries and batches are short enough to go through the kernel. */
const DAMAGED = { rots: true, payloadMax: 100 } as const;

/** Each seventh sync of a segment fails. */
const syncsFail: LifeSettings['tamper'] = ({ kind, path, index }) =>
  kind === 'datasync' && isSegment(path) && index % 7 === 0 ? { code: 'EIO' } : undefined;

const keepsOldState: LifeSettings['tamper'] = ({ kind, path }) =>
  kind === 'rename' && basename(path) === STATE_FILE_ASIDE ? { ignored: true } : undefined;

/** The mutants' settings without their mistakes: an honest log passes them. */
export const HONEST: readonly LifeSettings[] = [
  { isCalm: true },
  { isCalm: true, tamper: syncsFail },
  { isCalm: true, ...DAMAGED },
];

export const MUTANTS: readonly Mutant[] = [
  {
    mistake: 'acknowledges before the sync',
    settings: { createRound: (parts) => new AcknowledgesFirst(parts) },
    complaint: LOST,
  },
  {
    mistake: 'acknowledges what was written during the sync',
    settings: { createSyncer: (host) => new StartsEarly(host) },
    complaint: LOST,
  },
  {
    mistake: 'never syncs the directory',
    settings: {
      tamper: ({ kind, path }) =>
        kind === 'syncDirectory' && path === DIRECTORY ? { ignored: true } : undefined,
    },
    complaint: LOST,
  },
  {
    mistake: 'syncs the live segment and not the sealed one before it',
    settings: { createRound: (parts) => new SyncsLiveSegmentOnly(parts) },
    complaint: LOST,
  },
  {
    mistake: 'syncs again after a sync has failed',
    settings: { createRound: (parts) => new SyncsAgainAfterFailure(parts), tamper: syncsFail },
    complaint: LOST,
  },
  {
    mistake: 'appends behind a torn tail without cutting it',
    settings: { tamper: ({ kind }) => (kind === 'truncate' ? { ignored: true } : undefined) },
    complaint: /no frame in|never appended|not what was appended|verdict/,
  },
  {
    mistake: 'takes what it recovered for durable without a sync',
    // Only recovery uses fsync on a segment: appends are synced by fdatasync.
    settings: {
      tamper: ({ kind, path }) => (kind === 'sync' && isSegment(path) ? { ignored: true } : undefined),
    },
    complaint: LOST,
  },
  {
    mistake: 'writes no watermark into its frames',
    settings: { ...DAMAGED, createKernel: createForgetfulKernel },
    complaint: LOST,
  },
  {
    mistake: 'never renews its state file',
    settings: {
      ...DAMAGED,
      tamper: keepsOldState,
    },
    complaint: LOST,
  },
  {
    mistake: 'keeps no watermark anywhere',
    settings: {
      ...DAMAGED,
      createKernel: createForgetfulKernel,
      tamper: keepsOldState,
    },
    complaint: LOST,
  },
];

function isSegment(path: string): boolean {
  return parseSegmentName(basename(path)) !== undefined;
}

import { basename } from 'node:path';
import { parseSegmentName, STATE_FILE_ASIDE } from '../../src/format/segment-name.js';
import type { Kernel } from '../../src/ring/kernel/kernel.js';
import { createReferenceKernel } from '../../src/ring/kernel/reference.js';
import type { LaneViews } from '../../src/ring/layout.js';
import type { SyncJob } from '../../src/worker/sync-job.js';
import type { SyncOutcome } from '../../src/worker/syncer.js';
import { StepSyncer } from '../worker/support/step-syncer.js';
import { DIRECTORY } from '../worker/support/test-log.js';
import type { LifeSettings } from './random-life.js';

/** A log with a mistake that its promises do not survive. */
export interface Mutant {
  readonly mistake: string;
  readonly settings: LifeSettings;
  /** What the checker has to say: a complaint about anything else does not count. */
  readonly complaint: RegExp;
}

/** By the model, or by the log that will not open. */
const LOST = /were acknowledged|hold acknowledged/;

class AcknowledgesFirst extends StepSyncer {
  protected override run(job: SyncJob): SyncOutcome {
    if (job.files.length > 0) this.tell(job);
    return super.run({ ...job, acknowledgements: [] });
  }
}

class AcknowledgesWhatCameMeanwhile extends StepSyncer {
  #lsnBefore: number | undefined;
  #isSynced = false;

  override start(job: SyncJob): void {
    this.#lsnBefore ??= this.host.board.get('durableLsn');
    this.#isSynced = false;
    super.sync(job);
    this.#isSynced = true;
    super.start(job);
  }

  protected override sync(job: SyncJob): void {
    if (!this.#isSynced) super.sync(job);
  }

  protected override tell(job: SyncJob): void {
    super.tell(job);
    const before = this.#lsnBefore ?? 0;
    this.host.acknowledge(0, [1, this.host.board.get('lastLsn') - before, before + 1]);
  }
}

class SyncsLiveSegmentOnly extends StepSyncer {
  protected override sync(job: SyncJob): void {
    super.sync({ ...job, files: job.files.slice(-1) });
  }
}

class SyncsAgainAfterFailure extends StepSyncer {
  protected override sync(job: SyncJob): void {
    try {
      super.sync(job);
    } catch {
      super.sync(job);
    }
  }
}

/** Frames say what they must, but not what is durable: `synced_lsn` is always 0. */
function createForgetfulKernel(views: LaneViews): Kernel {
  const kernel = createReferenceKernel(views);
  return {
    name: kernel.name,
    frameRun(run) {
      run.syncedLsn = Math.min(run.syncedLsn, 0);
      kernel.frameRun(run);
    },
  };
}

/** The files are damaged now and then; and no entry or batch is so long that it goes past the kernel. */
const DAMAGED = { rots: true, payloadMax: 100 } as const;

/** Each seventh sync of a segment fails. */
const syncsFail: LifeSettings['tamper'] = ({ kind, path, index }) =>
  kind === 'datasync' && isSegment(path) && index % 7 === 0 ? { code: 'EIO' } : undefined;

const keepsOldState: LifeSettings['tamper'] = ({ kind, path }) =>
  kind === 'rename' && basename(path) === STATE_FILE_ASIDE ? { ignored: true } : undefined;

/** What an honest log bears: the mutants' surroundings without their mistakes. */
export const HONEST: readonly LifeSettings[] = [
  { isCalm: true },
  { isCalm: true, tamper: syncsFail },
  { isCalm: true, ...DAMAGED },
];

export const MUTANTS: readonly Mutant[] = [
  {
    mistake: 'acknowledges before the sync',
    settings: { createSyncer: (host) => new AcknowledgesFirst(host) },
    complaint: LOST,
  },
  {
    mistake: 'acknowledges what was written during the sync',
    settings: { createSyncer: (host) => new AcknowledgesWhatCameMeanwhile(host) },
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
    settings: { createSyncer: (host) => new SyncsLiveSegmentOnly(host) },
    complaint: LOST,
  },
  {
    mistake: 'syncs again after a sync has failed',
    settings: { createSyncer: (host) => new SyncsAgainAfterFailure(host), tamper: syncsFail },
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

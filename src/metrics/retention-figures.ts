import type { WalStats } from '../index.js';
import type { Figure } from './definitions.js';

/** A figure of which a log has several, each with a label of its own. */
export interface LabelledFigure extends Omit<Figure, 'kind' | 'read'> {
  readonly kind: 'gauge';
  readonly label: 'name';
  readonly read: (stats: WalStats) => readonly { readonly label: string; readonly value: number }[];
}

/** How much each checkpoint holds back from retention. The unnamed one has an empty name. */
export const LABELLED_FIGURES: readonly LabelledFigure[] = [
  {
    kind: 'gauge',
    prometheus: 'ringwal_checkpoint_lag_entries',
    opentelemetry: 'ringwal.checkpoint.lag',
    unit: '{entry}',
    label: 'name',
    help: 'Entries above each checkpoint; the unnamed one has an empty name. The largest holds back the most',
    read: ({ checkpoints }) => checkpoints.map(({ name, lag }) => ({ label: name, value: lag })),
  },
];

export const ARCHIVE_FIGURES: readonly Figure[] = [
  {
    kind: 'counter',
    prometheus: 'ringwal_archived_segments_total',
    opentelemetry: 'ringwal.archive.archived',
    unit: '{segment}',
    help: 'Segments that the option archive has taken',
    read: ({ archive }) => archive?.archived ?? 0,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_archive_failures_total',
    opentelemetry: 'ringwal.archive.failures',
    unit: '{call}',
    help: 'Calls of the option archive that failed',
    read: ({ archive }) => archive?.failures ?? 0,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_archive_pending_segments',
    opentelemetry: 'ringwal.archive.pending',
    unit: '{segment}',
    help: 'Sealed segments that are not archived yet',
    read: ({ archive }) => archive?.pendingSegments ?? 0,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_archive_pending_bytes',
    opentelemetry: 'ringwal.archive.pending_bytes',
    unit: 'By',
    help: 'Bytes of the sealed segments that are not archived yet',
    read: ({ archive }) => archive?.pendingBytes ?? 0,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_archive_pending_seconds',
    opentelemetry: 'ringwal.archive.pending_time',
    unit: 's',
    help: 'Time for which the oldest sealed segment has waited to be archived',
    read: ({ archive }) => (archive?.pendingMs ?? 0) / 1000,
  },
];

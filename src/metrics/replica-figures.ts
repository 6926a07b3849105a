import type { Figure } from './definitions.js';

/** The replica of a log. All of them are 0 for a log without one. */
export const REPLICA_FIGURES: readonly Figure[] = [
  {
    kind: 'gauge',
    prometheus: 'ringwal_replica_up',
    opentelemetry: 'ringwal.replica.up',
    unit: '1',
    help: '1 while the replica takes entries, 0 while it does not',
    read: ({ replica }) => (replica?.state === 'shipping' ? 1 : 0),
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_replica_epoch',
    opentelemetry: 'ringwal.replica.epoch',
    unit: '1',
    help: 'Epoch under which the log writes to its replica; 0 without one',
    read: ({ replica }) => replica?.epoch ?? 0,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_replicated_lsn',
    opentelemetry: 'ringwal.replica.lsn',
    unit: '1',
    help: 'Entries up to this LSN are durable on the replica',
    read: ({ replica }) => replica?.replicatedLsn ?? 0,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_replica_lag_entries',
    opentelemetry: 'ringwal.replica.lag',
    unit: '{entry}',
    help: 'Durable entries that are not replicated',
    read: ({ replica }) => replica?.lagEntries ?? 0,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_replica_lag_bytes',
    opentelemetry: 'ringwal.replica.lag_bytes',
    unit: 'By',
    help: 'Their bytes, roughly',
    read: ({ replica }) => replica?.lagBytes ?? 0,
  },
  {
    kind: 'gauge',
    prometheus: 'ringwal_replica_lag_seconds',
    opentelemetry: 'ringwal.replica.lag_time',
    unit: 's',
    help: 'Time for which the log has had entries that are not replicated',
    read: ({ replica }) => (replica?.lagMs ?? 0) / 1000,
  },
  {
    kind: 'counter',
    prometheus: 'ringwal_replica_failures_total',
    opentelemetry: 'ringwal.replica.failures',
    unit: '{request}',
    help: 'Failures of the replica',
    read: ({ replica }) => replica?.failures ?? 0,
  },
];

import { ReplicaError, type ReplicaHead, type ReplicaPosition } from './replica.js';

export function closedError(): ReplicaError {
  return new ReplicaError('ERR_WAL_REPLICA', 'The log no longer ships to its replica.');
}

export function fenceLost(head: ReplicaHead, known: { readonly epoch: number }): ReplicaError {
  return new ReplicaError(
    'ERR_WAL_REPLICA',
    `The replica has lost its fence: its epoch is ${head.epoch}, and this log was replicated under epoch ${known.epoch}. It was put back to ` +
      'an earlier state, or replaced. Writers of that time could be taken for the newest one: the epoch is raised above all of them.',
  );
}

export function regressed(head: ReplicaHead, known: ReplicaPosition): ReplicaError {
  return new ReplicaError(
    'ERR_WAL_REPLICA',
    `The replica has lost entries ${head.lsn + 1} to ${known.lsn}, which it had acknowledged: it was put back to an earlier state, or its ` +
      'settings do not make acknowledged entries durable. They are still in this log, and are shipped again.',
    { lsn: head.lsn },
  );
}

export function unexpectedHead(head: ReplicaHead, lsn: number): ReplicaError {
  return new ReplicaError(
    'ERR_WAL_REPLICA',
    `The replica ends with entry ${head.lsn}, and entry ${lsn} was acknowledged last.`,
    { lsn: head.lsn },
  );
}

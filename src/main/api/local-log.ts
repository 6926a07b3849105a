import { isMissing } from '../../files/disk.js';
import { hexId } from '../archive/archive-name.js';
import { WalError } from '../errors/wal-error.js';
import { Connection } from '../log/connection.js';
import type { CheckedOptions } from '../options/wal-options.js';
import { readBatches } from '../read/read-log.js';
import type { LocalLog } from '../replica/take-over.js';

/** The log that is there, open without its replica; `undefined`: there is none. @throws as `Wal.open` */
export async function openWithoutReplica(checked: CheckedOptions): Promise<LocalLog | undefined> {
  const { writer, lane } = checked;
  let connection: Connection;
  try {
    connection = await Connection.open({
      ...checked,
      writer: { ...writer, create: false, hasArchive: false, archiveTimeout: Number.POSITIVE_INFINITY },
      lane: { ...lane, durable: true, replicaChannel: undefined },
      archive: undefined,
      replica: undefined,
    });
  } catch (error) {
    if (error instanceof WalError && error.code === 'ERR_WAL_IO' && isMissing(error.cause)) return undefined;
    throw error;
  }
  const { status, view } = connection;
  return {
    logId: hexId(connection.logId),
    get firstLsn() {
      return status.get('firstLsn') || status.get('lastLsn') + 1;
    },
    get lastLsn() {
      return status.get('lastLsn');
    },
    batches: ({ from, to }) => readBatches(view, { from, to }),
    appendBatch: (entries) => connection.lane.appendBatch(entries, undefined),
    truncateAfter: async (lsn, { splitBatch }) => {
      await connection.lane.command({ name: 'truncateAfter', lsn, splitBatch });
    },
    reset: async (nextLsn) => {
      await connection.lane.command({ name: 'reset', lsn: nextLsn });
    },
    close: () => connection.close(),
  };
}

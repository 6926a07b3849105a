import { connectReplica } from '../../replica/connect.js';
import type { ReplicatedLog } from '../../replica/replica.js';
import type { CheckedRemote } from '../options/remote-options.js';
import { errorOfReplica } from './replica-error.js';

/** The logs that a replica holds. See `Wal.replicatedLogs`. */
export async function listReplicatedLogs({
  adapter,
  timeoutMs,
}: CheckedRemote): Promise<readonly ReplicatedLog[]> {
  try {
    const replica = await connectReplica(adapter, { timeoutMs });
    try {
      return await replica.logs();
    } finally {
      await replica.close();
    }
  } catch (error) {
    throw errorOfReplica(error, 'Cannot read the replica');
  }
}

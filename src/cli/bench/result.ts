import type { CompressionRows, judgeCompression } from './compression.js';
import type { LatencySummary } from './latencies.js';
import type { measureGroups, Rate } from './measures.js';
import type { judgePreallocation, judgeSync, SyncFloor } from './verdict.js';

/** What `ringwal bench --json` prints. */
export interface BenchResult {
  readonly machine: {
    readonly time: string;
    readonly version: string;
    readonly node: string;
    readonly platform: string;
    readonly cpus: string;
  };
  readonly floor: SyncFloor;
  readonly sequential: Rate;
  readonly durable: LatencySummary;
  readonly durableGrowing: LatencySummary;
  readonly groups: Awaited<ReturnType<typeof measureGroups>>;
  readonly small: Rate;
  readonly large: Rate;
  readonly compression: CompressionRows;
  readonly sync: ReturnType<typeof judgeSync>;
  readonly preallocation: ReturnType<typeof judgePreallocation>;
  readonly compressed: ReturnType<typeof judgeCompression>;
}

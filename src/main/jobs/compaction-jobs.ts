import type { CompactRunRequest, SurveyRequest } from '../../protocol/compaction.js';
import type { compactRun } from '../../worker/compact/compact-run.js';
import type { surveyGarbage } from '../../worker/compact/survey-garbage.js';
import { runJob } from './job-pool.js';

/** The work of a compaction that blocks. It runs on threads of the system, or on a simulated machine. @throws WalError */
export interface CompactionJobs {
  survey(request: SurveyRequest): Promise<ReturnType<typeof surveyGarbage>>;
  write(request: CompactRunRequest): Promise<ReturnType<typeof compactRun>>;
}

/** On threads of the system. */
export function systemCompactionJobs(workerUrl: URL | undefined): CompactionJobs {
  return {
    survey: (request) => runJob('surveyGarbage', request, { workerUrl }),
    write: (request) => runJob('compactRun', request, { workerUrl }),
  };
}

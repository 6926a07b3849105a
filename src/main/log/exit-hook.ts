/** Something that must get a last, synchronous word before the process ends. */
export interface ExitParticipant {
  flushAtExit(): void;
}

const participants = new Set<ExitParticipant>();

/**
 * One listener for all logs of the process, there while any is open. `'exit'` is emitted at the end of the event loop, at
 * `process.exit()` and at an uncaught exception, and the worker threads still run during it.
 */
function flushAll(): void {
  const errors: unknown[] = [];
  for (const participant of participants) {
    try {
      participant.flushAtExit();
    } catch (error) {
      // One log's trouble, or its callback's, is not the others'.
      errors.push(error);
    }
  }
  if (errors.length > 0) throw errors[0];
}

export function addExitParticipant(participant: ExitParticipant): void {
  if (participants.size === 0) process.on('exit', flushAll);
  participants.add(participant);
}

export function removeExitParticipant(participant: ExitParticipant): void {
  if (participants.delete(participant) && participants.size === 0) process.off('exit', flushAll);
}

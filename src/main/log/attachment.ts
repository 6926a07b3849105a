import { MessageChannel, MessagePort } from 'node:worker_threads';
import type { Lane } from '../append/lane.js';
import { WalError } from '../errors/wal-error.js';
import type { LaneOptions } from '../options/wal-options.js';

/** The data about its log that a lane on another thread needs: all of it can be cloned, or is shared. */
export interface LaneSurroundings {
  readonly bell: SharedArrayBuffer;
  readonly status: SharedArrayBuffer;
  readonly options: LaneOptions;
  /** Where locks show whether the log's threads live. */
  readonly lockFile: string;
  readonly lifeline: number;
}

/** The ends of a new lane's ports. */
export interface LanePorts {
  /** To the writer thread and from it. The first message is the lane, or the reason why there is none. */
  readonly writerPort: MessagePort;
  /** From the sync thread. */
  readonly syncPort: MessagePort;
  /** To the opening thread; says nothing, and closes when the thread that has it ends. */
  readonly lifePort: MessagePort;
}

/** A plain object that gives one thread a lane of the log: {@link Wal.attachment} makes it, {@link Wal.attach} uses it up. */
export interface WalAttachment {
  /** The ports that move to the other thread: `new Worker(file, { workerData: a, transferList: a.transferList })`. */
  readonly transferList: MessagePort[];
  /** For `Wal.attach` only. */
  readonly ringwal: object;
}

interface AttachmentContent extends LaneSurroundings, LanePorts {
  /** Version of this layout: both threads must have loaded the same one. */
  readonly version: number;
}

const VERSION = 1;

/**
 * Asks for the new lane now, by the port of `lane`: the thread that attaches later finds the lane waiting in its own port, and
 * neither this thread's event loop nor the opening thread's is needed for that.
 *
 * @throws ERR_WAL_FULL; the reason why `lane` takes nothing
 */
export function createAttachment(lane: Lane, surroundings: LaneSurroundings): WalAttachment {
  lane.otherLanes.checkRoom();
  const toWriter = new MessageChannel();
  const toSync = new MessageChannel();
  const life = new MessageChannel();
  lane.otherLanes.request(toWriter.port2, toSync.port2, life.port2);
  const ports: LanePorts = {
    writerPort: toWriter.port1,
    syncPort: toSync.port1,
    lifePort: life.port1,
  };
  const content: AttachmentContent = { version: VERSION, ...surroundings, ...ports };
  return { transferList: [ports.writerPort, ports.syncPort, ports.lifePort], ringwal: content };
}

const used = new WeakSet<MessagePort>();

/** Takes the content of an attachment, which is then used up. @throws ERR_WAL_OPTION */
export function openAttachment(attachment: unknown): AttachmentContent {
  const content = takeContent(attachment);
  if (content === undefined) {
    throw new WalError(
      'ERR_WAL_OPTION',
      'Wal.attach takes what attachment() returned, moved to this thread with its transferList.',
    );
  }
  if (content.version !== VERSION) {
    throw new WalError('ERR_WAL_OPTION', 'The attachment was made by another version of ringwal.');
  }
  if (used.has(content.writerPort)) throw usedUp();
  used.add(content.writerPort);
  return content;
}

/** Each field is read once. `undefined`: it is no attachment, or was not moved. */
function takeContent(attachment: unknown): AttachmentContent | undefined {
  if (typeof attachment !== 'object' || attachment === null) return undefined;
  const { ringwal } = attachment as Partial<WalAttachment>;
  if (typeof ringwal !== 'object' || ringwal === null) return undefined;
  const { version, bell, status, options, lockFile, lifeline, writerPort, syncPort, lifePort } =
    ringwal as Partial<AttachmentContent>;
  const ports = [writerPort, syncPort, lifePort];
  if (!ports.every((port) => port instanceof MessagePort) || typeof lockFile !== 'string') return undefined;
  return {
    version,
    bell,
    status,
    options,
    lockFile,
    lifeline,
    writerPort,
    syncPort,
    lifePort,
  } as AttachmentContent;
}

/** The ports lead nowhere, and the log is not closed. */
export function usedUp(): WalError {
  return new WalError(
    'ERR_WAL_OPTION',
    'This attachment is used up, or was moved to another thread: each is for one attach, in the thread that it was moved to.',
  );
}

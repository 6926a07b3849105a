import { MessageChannel, MessagePort } from 'node:worker_threads';
import type { Lane } from '../append/lane.js';
import { WalError } from '../errors/wal-error.js';
import type { LaneOptions } from '../options/wal-options.js';

/** What a lane on another thread needs to know of its log: all of it can be cloned, or is shared. */
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
  /** To the writer thread and from it. The first message is the lane, or why there is none. */
  readonly writerPort: MessagePort;
  /** From the sync thread. */
  readonly syncPort: MessagePort;
  /** To the opening thread; says nothing, and closes when the thread that has it ends. */
  readonly lifePort: MessagePort;
}

/** A plain object that gives one thread a lane of the log: {@link Wal.attachment} makes it, {@link Wal.attach} uses it up. */
export interface WalAttachment {
  /** What moves to the other thread: `new Worker(file, { workerData: a, transferList: a.transferList })`. */
  readonly transferList: MessagePort[];
  /** What `Wal.attach` takes up; for nobody else. */
  readonly ringwal: object;
}

interface AttachmentContent extends LaneSurroundings, LanePorts {
  /** Of the layout of all this: both threads must have loaded the same. */
  readonly version: number;
}

const VERSION = 1;

/**
 * The lane is asked for here and now, by the port of `lane`: whatever thread takes it up later finds it waiting in its own
 * port, and neither this thread nor the opening one need an event loop for it.
 *
 * @throws ERR_WAL_FULL, and what says that the lane takes nothing
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

/** The content of an attachment, which is used up by that. @throws ERR_WAL_OPTION */
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

/** Each field is read once. `undefined`: it is no attachment, or not moved. */
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

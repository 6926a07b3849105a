import { once } from 'node:events';
import { dirname } from 'node:path';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import { LockWatch } from '../../files/lock.js';
import { AbortController } from '../../files/node-globals.js';
import type { ToLane } from '../../protocol/lane-messages.js';
import { Doorbell } from '../../ring/doorbell.js';
import { touchRing, viewLane } from '../../ring/layout.js';
import { LogStatus } from '../../ring/log-status.js';
import { Lane } from '../append/lane.js';
import { closedError, threadDied } from '../append/lane-errors.js';
import { errorFromFailure, type WalError } from '../errors/wal-error.js';
import { createAttachment, openAttachment, usedUp, type WalAttachment } from './attachment.js';
import { CloseOnce } from './close-once.js';
import { ErrorReporter } from './error-reporter.js';
import { HoldCount } from './hold-count.js';
import { openLifeWatch } from './life-watch.js';
import type { LifeWatch } from './log-engine.js';

type Content = ReturnType<typeof openAttachment>;

/**
 * The lane of a thread that did not open the log. It exchanges messages with the writer thread and the sync thread directly.
 *
 *   open ──▶ closing ──▶ released     `close`, answered by `detached`
 *     └───────────────────▲           the log was closed or has failed, or its threads are gone: the ports show it
 */
export class AttachedLane {
  readonly lane: Lane;
  readonly #content: Content;
  readonly #lives: LifeWatch;
  readonly #holds: HoldCount;
  #isReleased = false;
  /** Nothing more will come by the ports. */
  readonly #over: Promise<void>;
  #noteOver = () => {};
  readonly #closed = new CloseOnce();

  private constructor(content: Content, first: Extract<ToLane, { kind: 'attached' }>, lives: LifeWatch) {
    this.#content = content;
    this.#lives = lives;
    this.#holds = new HoldCount(content.writerPort);
    this.#over = new Promise((resolve) => {
      this.#noteOver = resolve;
    });
    const views = viewLane(first.memory);
    // The future producer does this, since it takes milliseconds: the writer must not spend them.
    if (first.isNew) touchRing(views);
    const onError = new ErrorReporter(undefined);
    this.lane = new Lane({
      directory: directoryOf(content),
      views,
      doorbell: new Doorbell(content.bell),
      writerPort: content.writerPort,
      syncPort: content.syncPort,
      status: new LogStatus(content.status),
      options: content.options,
      areThreadsAlive: () => this.#lives.bothLive(),
      hold: (isHeld) => this.#holds.change(isHeld),
      onError: (error) => onError.report(error),
      onFailure: () => this.#noteOver(),
      onPortClosed: () => this.#notePortClosed(),
      onReceive: () => {},
      onLogMessage: (message) => {
        if (message.kind === 'detached' || message.kind === 'closed') this.#release();
      },
    });
  }

  /** See `Wal.attach`. */
  static async open(attachment: unknown): Promise<AttachedLane> {
    const content = openAttachment(attachment);
    try {
      const first = await firstMessage(content);
      if (first.kind === 'attached') return await AttachedLane.#take(content, first);
      if (first.kind === 'refused' || first.kind === 'failed') throw errorFromFailure(first.failure);
      throw closedError(directoryOf(content));
    } catch (error) {
      // The end of the last one frees the lane, if there was one.
      for (const port of [content.writerPort, content.syncPort, content.lifePort]) port.close();
      throw error;
    }
  }

  static async #take(content: Content, first: Extract<ToLane, { kind: 'attached' }>): Promise<AttachedLane> {
    const attached = new AttachedLane(content, first, watchLives(content));
    // Messages about the log may have arrived since the lane was made.
    attached.lane.drainPorts();
    if (!attached.lane.isOver) return attached;
    await attached.close();
    throw closedError(directoryOf(content));
  }

  /** See `WalLane.attachment`. */
  attachment(): WalAttachment {
    const { bell, status, options, lockFile, lifeline } = this.#content;
    return createAttachment(this.lane, { bell, status, options, lockFile, lifeline });
  }

  /** In a word or two, for people. */
  get state(): string {
    const { failure } = this.lane;
    if (failure !== undefined) return `failed (${failure.code})`;
    if (this.#isReleased) return 'closed';
    return this.#closed.hasStarted ? 'closing' : 'open';
  }

  /** Waits until all accepted entries are durable, and gives the lane back. Rejects once with the failure that ended the log. */
  close(): Promise<void> {
    return this.#closed.run(() => this.#close());
  }

  async #close(): Promise<void> {
    if (!this.lane.isOver) {
      this.lane.startClosing('detach');
      this.#holds.change(true);
      await this.#over;
      this.#holds.change(false);
    }
    this.#release();
    const { failure } = this.lane;
    if (failure !== undefined) throw failure;
  }

  /** The writer thread or the sync thread is gone. If the log was closed, a message has said so before. */
  #notePortClosed(): void {
    if (this.#isReleased) return;
    this.lane.drainPorts();
    if (!this.lane.isOver) this.lane.die();
    this.#release();
  }

  #release(): void {
    if (this.#isReleased) return;
    this.#isReleased = true;
    // If the lane is over already, its reason stays.
    if (this.lane.isOver) this.lane.letGo();
    else this.lane.detach();
    this.#lives.close();
    this.#content.lifePort.close();
    this.#noteOver();
  }
}

async function firstMessage(content: Content): Promise<ToLane> {
  const { writerPort } = content;
  const received = receiveMessageOnPort(writerPort);
  if (received !== undefined) return received.message as ToLane;
  if (!isOpen(writerPort)) throw whyClosed(content);
  const listening = new AbortController();
  const { signal } = listening;
  try {
    const message = once(writerPort, 'message', { signal }).then(([first]) => first as ToLane);
    const end = once(writerPort, 'close', { signal }).then(() => Promise.reject(whyClosed(content)));
    return await Promise.race([message, end]);
  } finally {
    listening.abort();
  }
}

/** A port that was moved to another thread, or closed, has no reference to take. */
function isOpen(port: MessagePort): boolean {
  port.ref();
  const isReferenced = (port as MessagePort & { hasRef(): boolean }).hasRef() === true;
  port.unref();
  return isReferenced;
}

function whyClosed(content: Content): WalError {
  const doorbell = new Doorbell(content.bell);
  if (doorbell.dead) return threadDied(directoryOf(content));
  return doorbell.closing ? closedError(directoryOf(content)) : usedUp();
}

function directoryOf({ lockFile }: Content): string {
  return dirname(lockFile);
}

function watchLives({ lockFile, lifeline }: Content): LifeWatch {
  return openLifeWatch(lockFile, () => new LockWatch(lockFile, lifeline));
}

/** The calls of the seam that can fail. */
export type OperationKind =
  | 'open'
  | 'list'
  | 'stat'
  | 'mkdir'
  | 'rename'
  | 'unlink'
  | 'syncDirectory'
  | 'lock'
  | 'lockHolder'
  | 'write'
  | 'read'
  | 'size'
  | 'truncate'
  | 'datasync'
  | 'sync'
  | 'close'
  | 'identity';

export interface Operation {
  /** Counts all operations of the disk, from 0. */
  readonly index: number;
  readonly kind: OperationKind;
  /** As it was given; of an open file, the name it was opened by. */
  readonly path: string;
  /** write, read: where in the file; truncate: the new size. */
  readonly position?: number;
  /** write, read: how many bytes are asked for. */
  readonly bytes?: number;
}

/** What goes wrong with one operation. */
export interface Fault {
  /**
   * It throws this ('EIO', 'ENOSPC', 'EMFILE', 'EINTR', 'EAGAIN', 'EACCES', …). A sync that throws has also lost what
   * it should have made durable: see [FailedSync].
   */
  readonly code?: string;
  /** A write or read gets this far only: it is short, or with `code` or `crash` this much happened before. */
  readonly bytes?: number;
  /** It takes this long, by the virtual clock. */
  readonly delayMs?: number;
  /** A sync, truncate, rename, unlink or mkdir returns and has done nothing: a disk, or a program, that lies. */
  readonly ignored?: true;
  /** The machine stops here: [SimulatedCrash] from this and every later call, until the next boot. */
  readonly crash?: true;
}

export interface FaultScope {
  /** Only where the path is this, or ends with this after a separator. */
  readonly path?: string;
  /** So many matching operations still succeed. Default 0. */
  readonly after?: number;
  /** So many fail then. Default 1. */
  readonly times?: number;
}

export type FaultHook = (operation: Operation) => Fault | undefined;

/** What shall go wrong: rules for the next operations, and a hook that is asked about all. */
export class Faults {
  hook: FaultHook | undefined;
  readonly #rules = new Set<Rule>();

  /** Rules for several kinds are one rule: what `scope` counts are operations of any of them. */
  add(kinds: OperationKind | readonly OperationKind[], fault: Fault, scope: FaultScope): void {
    const { path, after = 0, times = 1 } = scope;
    this.#rules.add({ kinds: [kinds].flat(), fault, path, after, times });
  }

  clear(): void {
    this.hook = undefined;
    this.#rules.clear();
  }

  /** The hook first; then the oldest rule that is due. */
  next(operation: Operation): Fault | undefined {
    const hooked = this.hook?.(operation);
    if (hooked !== undefined) return hooked;
    for (const rule of this.#rules) {
      if (!rule.kinds.includes(operation.kind) || !isIn(operation.path, rule.path)) continue;
      if (rule.after > 0) {
        rule.after -= 1;
        continue;
      }
      rule.times -= 1;
      if (rule.times <= 0) this.#rules.delete(rule);
      return rule.fault;
    }
    return undefined;
  }
}

interface Rule {
  readonly kinds: readonly OperationKind[];
  readonly fault: Fault;
  readonly path: string | undefined;
  after: number;
  times: number;
}

function isIn(path: string, scope: string | undefined): boolean {
  return scope === undefined || path === scope || path.endsWith(`/${scope}`) || path.endsWith(`\\${scope}`);
}

/**
 * The machine has stopped. Not a system error: code under test must not handle it, only the harness around it, which
 * then calls [SimulatedDisk.powerCut] or [SimulatedDisk.killProcess].
 */
export class SimulatedCrash extends Error {
  readonly code = 'ERR_SIMULATED_CRASH';

  constructor(message: string) {
    super(message);
    this.name = 'SimulatedCrash';
  }
}

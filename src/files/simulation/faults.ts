/** The calls of the seam that can fail. */
export type OperationKind =
  | 'open'
  | 'list'
  | 'stat'
  | 'mkdir'
  | 'rmdir'
  | 'rename'
  | 'link'
  | 'clone'
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
  /** As given by the caller; for an open file, the name by which it was opened. */
  readonly path: string;
  /** write, read: the position in the file; truncate: the new size. */
  readonly position?: number;
  /** write, read: how many bytes are requested. */
  readonly bytes?: number;
}

/** The fault of one operation. */
export interface Fault {
  /**
   * The operation throws this code ('EIO', 'ENOSPC', 'EMFILE', 'EINTR', 'EAGAIN', 'EACCES', …). A sync that throws has also lost
   * the data that it should have made durable: see [FailedSync].
   */
  readonly code?: string;
  /** A write or read gets only this far: it is short, or with `code` or `crash` it fails after this many bytes. */
  readonly bytes?: number;
  /** How long the operation takes, by the virtual clock. */
  readonly delayMs?: number;
  /** A sync, truncate, rename, unlink or mkdir returns without having done anything: the disk, or a program, lies. */
  readonly ignored?: true;
  /** The machine stops here: [SimulatedCrash] from this and every later call, until the next boot. */
  readonly crash?: true;
}

export interface FaultScope {
  /** Only operations on this path, or on a path that ends with this after a separator. */
  readonly path?: string;
  /** This many matching operations succeed first. Default 0. */
  readonly after?: number;
  /** Then this many fail. Default 1. */
  readonly times?: number;
}

export type FaultHook = (operation: Operation) => Fault | undefined;

/** The planned faults: rules for the next operations, and a hook that is called for each operation. */
export class Faults {
  hook: FaultHook | undefined;
  readonly #rules = new Set<Rule>();

  /** Rules for several kinds are one rule: `scope` counts operations of any of them. */
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
 * The machine has stopped. Not a system error: code under test must not handle it. Only the harness does, and then calls
 * [SimulatedDisk.powerCut] or [SimulatedDisk.killProcess].
 */
export class SimulatedCrash extends Error {
  readonly code = 'ERR_SIMULATED_CRASH';

  constructor(message: string) {
    super(message);
    this.name = 'SimulatedCrash';
  }
}

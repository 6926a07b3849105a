import { DiskError } from '../disk.js';
import { Content } from './content.js';
import type { Fate, Unsynced } from './fate.js';
import type { Random } from './random.js';

export class FileNode {
  readonly kind = 'file';
  readonly id: number;
  readonly content = new Content();
  mtimeMs = 0;
  isLocked = false;

  constructor(id: number) {
    this.id = id;
  }
}

export class DirectoryNode {
  readonly kind = 'directory';
  readonly id: number;
  mtimeMs = 0;
  /** The names that programs see. */
  live = new Map<string, Node>();
  /** The names that the next boot finds. */
  readonly durable = new Map<string, Node>();

  constructor(id: number) {
    this.id = id;
  }
}

export type Node = FileNode | DirectoryNode;

/** A place for a name: an existing directory, and the file that has the name now. */
export interface Place {
  readonly directory: DirectoryNode;
  readonly name: string;
  readonly node: Node | undefined;
}

/** One call's effect on names. It is atomic: it reaches the medium as a whole or not at all. */
interface NameChange extends Unsynced {
  readonly edits: readonly NameEdit[];
}

interface NameEdit {
  readonly directory: DirectoryNode;
  readonly name: string;
  /** `undefined`: the name is removed. */
  readonly node: Node | undefined;
}

/**
 * The names of a simulated disk. A change is visible at once, and durable when a directory that it touches is synced; until then
 * a power cut may lose it. Changes survive in any combination, with one exception that all file systems guarantee: a change does
 * not survive without the earlier changes of the same name. Otherwise two renames in a row could leave a file with two names or
 * with none.
 */
export class Names {
  readonly root: DirectoryNode;
  #unsynced: NameChange[] = [];
  /** A file was given a second name. */
  #areLinked = false;

  constructor(root: DirectoryNode) {
    this.root = root;
  }

  /** Position in the history of the first change that is not durable; Infinity if all are. */
  get oldestUnsynced(): number {
    return this.#unsynced[0]?.at ?? Number.POSITIVE_INFINITY;
  }

  /** @throws ENOENT, ENOTDIR for a directory before the last name */
  place(path: string, syscall: string): Place {
    const names = namesOf(path);
    const last = names.pop();
    if (last === undefined) return { directory: this.root, name: '', node: this.root };
    let directory = this.root;
    for (const name of names) {
      const next = directory.live.get(name);
      if (next === undefined) throw new DiskError('ENOENT', syscall, path, 'no such file or directory');
      if (next.kind === 'file') throw new DiskError('ENOTDIR', syscall, path, 'not a directory');
      directory = next;
    }
    return { directory, name: last, node: directory.live.get(last) };
  }

  link({ directory, name }: Place, node: Node, at: number): void {
    this.#change({ at, edits: [{ directory, name, node }] });
  }

  /** As [link], of a file that has a name already. */
  linkAgain(place: Place, node: FileNode, at: number): void {
    this.#areLinked = true;
    this.link(place, node, at);
  }

  unlink({ directory, name }: Place, at: number): void {
    this.#change({ at, edits: [{ directory, name, node: undefined }] });
  }

  rename(from: Place, to: Place, node: Node, at: number): void {
    const gone = { directory: from.directory, name: from.name, node: undefined };
    this.#change({ at, edits: [gone, { directory: to.directory, name: to.name, node }] });
  }

  sync(directory: DirectoryNode): void {
    const [concerned, others] = this.#concerning(directory);
    for (const change of concerned) makeDurable(change);
    this.#unsynced = others;
  }

  /** As for a file: some changes may have reached the medium, the rest count as written and are lost. */
  failSync(directory: DirectoryNode, random: Random): void {
    const survival = random.pick([0, 0.5, 1]);
    const [concerned, others] = this.#concerning(directory);
    keep(concerned, () => random.chance(survival));
    this.#unsynced = others;
  }

  powerCut(fate: Fate): void {
    keep(this.#unsynced, (change) => fate.survives(change));
    this.#unsynced = [];
    for (const directory of directoriesIn(this.root, 'durable')) directory.live = new Map(directory.durable);
  }

  /** Every file with a name, as programs see it or as the next boot would. */
  files(view: 'live' | 'durable'): Set<FileNode> {
    const files = new Set<FileNode>();
    for (const directory of directoriesIn(this.root, view)) {
      for (const node of directory[view].values()) if (node.kind === 'file') files.add(node);
    }
    return files;
  }

  /** How many names lead to a file. Each but the first was made by a link. */
  countOf(file: FileNode): number {
    if (!this.#areLinked) return 1;
    let count = 0;
    for (const directory of directoriesIn(this.root, 'live')) {
      for (const node of directory.live.values()) if (node === file) count += 1;
    }
    return count;
  }

  /** The paths of all files, as programs see them, from the root. */
  paths(directory: DirectoryNode = this.root, prefix = ''): string[] {
    return [...directory.live].flatMap(([name, node]) =>
      node.kind === 'file' ? [`${prefix}/${name}`] : this.paths(node, `${prefix}/${name}`),
    );
  }

  #change(change: NameChange): void {
    for (const { directory, name, node } of change.edits) {
      if (node === undefined) directory.live.delete(name);
      else directory.live.set(name, node);
    }
    this.#unsynced.push(change);
  }

  /** The changes that a sync of `directory` covers, with those that they depend on; and the others. Both oldest first. */
  #concerning(directory: DirectoryNode): [concerned: NameChange[], others: NameChange[]] {
    const concerned: NameChange[] = [];
    const others: NameChange[] = [];
    for (const change of this.#unsynced.toReversed()) {
      const touches = change.edits.some((edit) => edit.directory === directory);
      if (touches || concerned.some((later) => restsOn(later, change))) concerned.push(change);
      else others.push(change);
    }
    return [concerned.reverse(), others.reverse()];
  }
}

/** Makes the changes durable that `survives` picks and that depend on no lost one. */
function keep(changes: readonly NameChange[], survives: (change: NameChange) => boolean): void {
  const lost: NameChange[] = [];
  for (const change of changes) {
    if (!survives(change) || lost.some((earlier) => restsOn(change, earlier))) lost.push(change);
    else makeDurable(change);
  }
}

function restsOn(later: NameChange, earlier: NameChange): boolean {
  return later.edits.some((edit) =>
    earlier.edits.some((other) => other.directory === edit.directory && other.name === edit.name),
  );
}

function makeDurable(change: NameChange): void {
  for (const { directory, name, node } of change.edits) {
    if (node === undefined) directory.durable.delete(name);
    else directory.durable.set(name, node);
  }
}

function* directoriesIn(root: DirectoryNode, view: 'live' | 'durable'): Generator<DirectoryNode> {
  yield root;
  for (const node of root[view].values()) {
    if (node.kind === 'directory') yield* directoriesIn(node, view);
  }
}

/** Every path starts at the root. Both separators count, since `node:path` joins with the platform's. */
function namesOf(path: string): string[] {
  const names: string[] = [];
  for (const name of path.split(/[/\\]/)) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names;
}

/** What a test has set up, undone when it ends. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

type Test = Pick<TestContext, 'after'>;

type Undo = () => unknown;

const undosOf = new WeakMap<Test, Undo[]>();

/**
 * `undo` is called when the test ends, whether well or not: the last one first, so that a directory is removed once
 * nothing is at work in it any more; and each one, whatever the others throw. (The hooks of `t.after` are called the
 * first one first, and none after one that throws: a process that is to be killed would keep its test alive for ever.)
 */
export function cleanUp(t: Test, undo: Undo): void {
  const undos = undosOf.get(t);
  if (undos !== undefined) {
    undos.push(undo);
    return;
  }
  const first = [undo];
  undosOf.set(t, first);
  t.after(() => undoAll(first));
}

/** Also what is set up meanwhile, by what a failed test has left under way. */
async function undoAll(undos: Undo[]): Promise<void> {
  const errors: unknown[] = [];
  for (let undo = undos.pop(); undo !== undefined; undo = undos.pop()) {
    try {
      await undo();
    } catch (error) {
      errors.push(error);
    }
  }
  if (errors.length === 1) throw errors[0];
  if (errors.length > 1) throw new AggregateError(errors, 'several things could not be undone');
}

/** A directory that goes with the test. */
export function temporaryDirectory(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'ringwal-test-'));
  cleanUp(t, () => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

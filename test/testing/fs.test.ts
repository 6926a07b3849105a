/** The files of a simulated machine answer as Node's do, and lose what was not synced. */
import assert from 'node:assert/strict';
import * as nodeFs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { type SimulatedFs, SimulatedMachine } from '#ringwal/testing';
import { temporaryDirectory } from '../cleanup.js';
import { SEED, seededTest } from '../seed.js';

type Files = Pick<SimulatedFs, 'promises' | 'openSync' | 'writeSync' | 'readSync' | 'closeSync'> &
  SimulatedFs;

const codeOf = (error: unknown) => (error as { code?: string }).code;

/** What a program sees that uses every call of `promises`. */
async function usePromises({ promises: fs }: Files, directory: string): Promise<unknown[]> {
  const seen: unknown[] = [];
  const at = (name: string) => join(directory, name);
  const failing = async (promise: Promise<unknown>) => seen.push(await promise.then(() => 'works', codeOf));
  seen.push((await fs.mkdir(at('a/b/c'), { recursive: true }))?.slice(directory.length));
  seen.push(await fs.mkdir(at('a/b/c'), { recursive: true }));
  await failing(fs.mkdir(at('a')));
  await failing(fs.mkdir(at('x/y')));
  await fs.writeFile(at('f'), 'hello');
  await fs.appendFile(at('f'), ' world');
  await fs.appendFile(at('g'), Buffer.from('new'));
  seen.push(
    await fs.readFile(at('f'), 'utf8'),
    await fs.readFile(at('g')),
    await fs.readFile(at('f'), { encoding: 'hex' }),
  );
  await fs.writeFile(at('f'), '68c3a4', { encoding: 'hex', flush: true });
  seen.push(await fs.readFile(pathToFileURL(at('f')), 'utf8'));
  await failing(fs.writeFile(at('f'), '', { flag: 'wx' }));
  await failing(fs.readFile(at('missing')));
  await failing(fs.readFile(at('a')));
  await failing(fs.rename(at('missing'), at('f')));
  await failing(fs.unlink(at('missing')));
  await failing(fs.rm(at('missing')));
  await failing(fs.access(at('missing')));
  await fs.rm(at('missing'), { force: true });
  await fs.rename(at('g'), at('f'));
  seen.push((await fs.readdir(directory)).sort());
  const { size, ...stat } = await fs.stat(at('f'));
  seen.push(size, (await fs.stat(at('a'))).isDirectory(), stat.ino === (await fs.stat(at('f'))).ino);
  await fs.truncate(at('f'), 2);
  const file = await fs.open(at('f'), 'r+');
  const target = Buffer.alloc(8);
  seen.push((await file.read(target, 1, 4, 0)).bytesRead, target.toString('hex'));
  seen.push(
    (await file.write('XY', 4)).bytesWritten,
    (await file.write(Buffer.from('abcd'), 1, 2)).bytesWritten,
  );
  seen.push((await file.stat()).size);
  await file.truncate(5);
  await file.sync();
  await file.datasync();
  await file.close();
  seen.push(await fs.readFile(at('f')));
  const appended = await fs.open(at('f'), 'a+');
  await appended.appendFile('1');
  await appended.writeFile('2');
  await appended.close();
  await failing(appended.sync());
  seen.push(await fs.readFile(at('f'), 'latin1'));
  const directoryHandle = await fs.open(directory, 'r');
  await directoryHandle.sync();
  await directoryHandle.close();
  await fs.unlink(at('f'));
  seen.push(await fs.readdir(at('a')));
  return seen;
}

/** The same of the calls that do not wait. */
function useSync(fs: Files, directory: string): unknown[] {
  const seen: unknown[] = [];
  const at = (name: string) => join(directory, name);
  const failing = (call: () => unknown) => {
    try {
      seen.push(call() ?? 'works');
    } catch (error) {
      seen.push(codeOf(error));
    }
  };
  fs.mkdirSync(at('d'));
  fs.writeFileSync(at('d/f'), 'hello');
  fs.appendFileSync(at('d/f'), ' you');
  seen.push(fs.readFileSync(at('d/f'), 'utf8'), fs.existsSync(at('d')), fs.existsSync(at('e')));
  const file = fs.openSync(at('d/f'), 'r+');
  const target = Buffer.alloc(4);
  seen.push(
    fs.readSync(file, target),
    target.toString(),
    fs.readSync(file, target, 0, 2, 6),
    target.toString(),
  );
  seen.push(fs.writeSync(file, Buffer.from('abc'), 0, 2, 0), fs.writeSync(file, 'end'));
  fs.ftruncateSync(file, 8);
  fs.fsyncSync(file);
  fs.fdatasyncSync(file);
  fs.closeSync(file);
  failing(() => fs.fsyncSync(file));
  fs.renameSync(at('d/f'), at('g'));
  fs.truncateSync(at('g'), 7);
  seen.push(fs.statSync(at('g')).size, fs.readFileSync(at('g')), fs.readdirSync(directory).sort());
  failing(() => fs.statSync(at('f')));
  failing(() => fs.openSync(at('f')));
  failing(() => fs.unlinkSync(at('f')));
  fs.rmSync(at('f'), { force: true });
  fs.unlinkSync(at('g'));
  const handle = fs.openSync(directory);
  fs.fsyncSync(handle);
  fs.closeSync(handle);
  seen.push(fs.readdirSync(directory));
  return seen;
}

test('the promises of fs answer as those of node:fs', async (t) => {
  const directory = temporaryDirectory(t);
  const machine = new SimulatedMachine({ seed: SEED });
  machine.fs.mkdirSync(directory);
  assert.deepEqual(
    await usePromises(machine.fs as Files, directory),
    await usePromises(nodeFs as unknown as Files, directory),
  );
});

test('the calls of fs that do not wait answer as those of node:fs', (t) => {
  const directory = temporaryDirectory(t);
  const machine = new SimulatedMachine({ seed: SEED });
  machine.fs.mkdirSync(directory);
  assert.deepEqual(useSync(machine.fs as Files, directory), useSync(nodeFs as unknown as Files, directory));
});

test('short and interrupted calls are carried on with where Node does so', async () => {
  const machine = new SimulatedMachine({ seed: SEED, nuisance: 0.3 });
  const bytes = Buffer.alloc(300_000, 'ringwal');
  await machine.fs.promises.writeFile('f', bytes);
  assert.ok((await machine.fs.promises.readFile('f')).equals(bytes));
  assert.ok(machine.fs.readFileSync('f').equals(bytes));
});

test('what the simulated disk does not know is refused', async () => {
  const { fs } = new SimulatedMachine({ seed: SEED });
  const wrong = { code: 'ERR_WAL_OPTION' };
  assert.throws(() => fs.openSync('f', 'rs+'), wrong);
  assert.throws(() => fs.rmSync('f', { recursive: true } as object), wrong);
  await assert.rejects(fs.promises.rm('f', { recursive: true } as object), wrong);
  await assert.rejects(fs.promises.open(7 as unknown as string), wrong);
});

/** How often a replaced file is whole after a power cut, in either version; `syncs` says what the program forgets. */
async function replaceOften(seed: number, syncs: { file: boolean; directory: boolean }): Promise<number> {
  let losses = 0;
  for (let life = 0; life < 60; life++) {
    const machine = new SimulatedMachine({ seed: seed + life });
    const { promises: fs } = machine.fs;
    for (const version of ['old', 'new']) {
      const file = await fs.open('value.new', 'w');
      await file.writeFile(version.repeat(500));
      if (syncs.file || version === 'old') await file.sync();
      await file.close();
      await fs.rename('value.new', 'value');
      if (syncs.directory || version === 'old') {
        const directory = await fs.open('.', 'r');
        await directory.sync();
        await directory.close();
      }
    }
    machine.powerCut();
    if (machine.fs.readFileSync('value', 'utf8') !== 'new'.repeat(500)) losses += 1;
  }
  return losses;
}

seededTest(
  'a file that was replaced properly is never lost; without a sync of it, or of its directory, it may be',
  async (seed) => {
    assert.equal(await replaceOften(seed, { file: true, directory: true }), 0);
    assert.ok((await replaceOften(seed, { file: false, directory: true })) > 0);
    assert.ok((await replaceOften(seed, { file: true, directory: false })) > 0);
  },
);

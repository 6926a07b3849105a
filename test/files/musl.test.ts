import assert from 'node:assert/strict';
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { lockHolder, tryLock } from '../../src/files/lock.js';
import { cleanUp, temporaryDirectory } from '../cleanup.js';

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const ON_ALPINE = { ...process.env, NODE_OPTIONS: `--require ${JSON.stringify(here('./alpine.cjs'))}` };
const ADDON = dirname(createRequire(import.meta.url).resolve('fs-native-extensions'));
const builtFor = (platform: string) => join(ADDON, 'prebuilds', platform, 'fs-native-extensions.node');
const IS_LINUX = process.platform === 'linux' ? {} : { skip: 'of Linux only' };

test(
  'on Alpine the loader of the addon finds nothing, and the lock keeps every promise all the same',
  IS_LINUX,
  () => {
    // Else the inner run reports to the outer one.
    const env = { ...ON_ALPINE, NODE_TEST_CONTEXT: undefined };
    const found = spawnSync(process.execPath, ['--print', 'require("fs-native-extensions")'], {
      env,
      cwd: here('.'),
      encoding: 'utf8',
    });
    assert.match(found.stderr, /ADDON_NOT_FOUND/);
    const tests = spawnSync(
      process.execPath,
      ['--import', import.meta.resolve('tsx'), '--test', '--test-reporter=tap', here('./lock.test.ts')],
      { env, encoding: 'utf8' },
    );
    assert.equal(tests.status, 0, tests.stdout + tests.stderr);
    assert.match(tests.stdout, /^ok \d+ - the lock of a process that is killed is free at once/m);
    assert.match(tests.stdout, /^# fail 0$/m);
  },
);

test(
  'where the build for glibc does not load either the error names musl, and the way out',
  IS_LINUX,
  async (t) => {
    const path = join(temporaryDirectory(t), 'lock');
    const source = `
    process.dlopen = () => { throw new Error('Error relocating it: no_such_function: symbol not found'); };
    const report = process.report.getReport();
    delete report.header.glibcVersionRuntime;
    process.report.getReport = () => report;
    import(${JSON.stringify(pathToFileURL(here('../../src/files/lock.ts')).href)})
      .then(({ tryLock }) => tryLock(${JSON.stringify(path)}))
      .catch((error) => console.log(error.code, error.message));`;
    const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), '--eval', source], {
      env: ON_ALPINE,
    });
    let output = '';
    child.stdout.on('data', (chunk) => {
      output += chunk;
    });
    await once(child, 'close');
    assert.equal(
      output,
      `ENOTSUP ENOTSUP: fs-native-extensions has no build for linux-${process.arch} with musl (Alpine), and the one for glibc ` +
        'does not load: Error relocating it: no_such_function: symbol not found. To write, run where the C library is glibc (Debian); ' +
        `reading needs no lock, lock '${path}'\n`,
    );
  },
);

/** What the addon's builds for Linux use of the C library. musl has had all of it since 1.0 (2014). */
const MUSL_HAS = [
  '__cxa_finalize',
  '__errno_location',
  'fallocate',
  'fcntl',
  'fgetxattr',
  'flistxattr',
  'free',
  'fremovexattr',
  'fsetxattr',
  'malloc',
  'memcpy',
  'memmove',
  'realloc',
  'strdup',
  'strlen',
  'syscall',
];

for (const platform of ['linux-x64', 'linux-arm64']) {
  test(`the addon's build for ${platform} needs the C library alone, and nothing of it that musl lacks`, () => {
    const { libraries, symbols } = needsOf(readFileSync(builtFor(platform)));
    // musl's loader takes this name for its own.
    assert.deepEqual(libraries, ['libc.so.6']);
    const ofSystem = symbols.filter((name) => !/^(napi_|node_api_|uv_)/.test(name));
    assert.ok(ofSystem.includes('fcntl'));
    assert.deepEqual(
      ofSystem.filter((name) => !MUSL_HAS.includes(name)),
      [],
    );
  });
}

const IS_LINUX_X64 =
  process.platform === 'linux' && process.arch === 'x64' ? {} : { skip: 'of Linux on x64 only' };

test(
  'a process with musl and one with glibc keep each other out, and a killed one leaves no lock',
  IS_LINUX_X64,
  async (t) => {
    const program = join(temporaryDirectory(t), 'holder');
    const built = spawnSync('musl-gcc', ['-rdynamic', '-o', program, here('./musl-holder.c')], {
      encoding: 'utf8',
    });
    if ((built.error as NodeJS.ErrnoException | undefined)?.code === 'ENOENT') {
      t.skip('musl-gcc is not installed');
      return;
    }
    assert.equal(built.status, 0, built.stderr);
    const path = join(temporaryDirectory(t), 'lock');
    const lock = tryLock(path) ?? assert.fail('nobody holds it');
    assert.equal((await holder(t, program, path)).says, 'held by another');
    lock.release();
    const { child, says } = await holder(t, program, path);
    assert.equal(says, 'locked');
    assert.notEqual(lockHolder(path), undefined);
    assert.equal(tryLock(path), undefined);
    child.kill('SIGKILL');
    await once(child, 'exit');
    const next = tryLock(path) ?? assert.fail('its holder is dead');
    next.release();
  },
);

async function holder(t: TestContext, program: string, path: string) {
  const child: ChildProcess = spawn(program, [builtFor('linux-x64'), path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const exited = once(child, 'exit');
  cleanUp(t, async () => {
    child.kill('SIGKILL');
    await exited;
  });
  const [answer] = await once(child.stdout as NonNullable<typeof child.stdout>, 'data');
  return { child, says: String(answer).trim() };
}

const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;
const DYNAMIC_BYTES = 16;
const SHT_DYNAMIC = 6;
const SHT_DYNSYM = 11;
const DT_NEEDED = 1n;
const STB_WEAK = 2;

/** What a shared library (ELF, 64 bits, little endian) asks of others: libraries, and symbols that are not weak. */
function needsOf(elf: Buffer): { libraries: string[]; symbols: string[] } {
  const sections = Array.from({ length: elf.readUInt16LE(60) }, (_, index) => {
    const at = Number(elf.readBigUInt64LE(40)) + index * SECTION_HEADER_BYTES;
    const start = Number(elf.readBigUInt64LE(at + 24));
    const bytes = elf.subarray(start, start + Number(elf.readBigUInt64LE(at + 32)));
    return { type: elf.readUInt32LE(at + 4), link: elf.readUInt32LE(at + 40), bytes };
  });
  /** The entries of the section of a type, and the names that they point to. */
  const read = (type: number, entryBytes: number) => {
    const { bytes, link } = sections.find((section) => section.type === type) ?? assert.fail(`no ${type}`);
    const names = sections[link]?.bytes ?? assert.fail(`no ${link}`);
    const nameAt = (at: number) => names.toString('latin1', at, names.indexOf(0, at));
    const entries = Array.from({ length: bytes.length / entryBytes }, (_, at) =>
      bytes.subarray(at * entryBytes, (at + 1) * entryBytes),
    );
    return { entries, nameAt };
  };
  const dynamic = read(SHT_DYNAMIC, DYNAMIC_BYTES);
  const symbols = read(SHT_DYNSYM, SYMBOL_BYTES);
  return {
    libraries: dynamic.entries
      .filter((entry) => entry.readBigUInt64LE(0) === DT_NEEDED)
      .map((entry) => dynamic.nameAt(Number(entry.readBigUInt64LE(8)))),
    symbols: symbols.entries
      .slice(1)
      .filter((entry) => entry.readUInt16LE(6) === 0 && entry.readUInt8(4) >> 4 !== STB_WEAK)
      .map((entry) => symbols.nameAt(entry.readUInt32LE(0))),
  };
}

import { spawnSync } from 'node:child_process';
import { readFileSync, statfsSync } from 'node:fs';
import { arch, availableParallelism, cpus, platform, release, totalmem } from 'node:os';

/** The machine that took the figures, without its name and without paths. */
export interface Machine {
  readonly node: string;
  readonly platform: string;
  readonly cpu: string;
  readonly cpus: number;
  readonly memoryGib: number;
  readonly fileSystem: string;
  readonly packages: Readonly<Record<string, string>>;
}

/** The measured version of the sources. */
export interface Source {
  /** Abbreviated hash; `undefined`: the sources are not in a repository. */
  readonly commit?: string | undefined;
  /** The sources have changed since that commit. */
  readonly isChanged: boolean;
  /** As `2026-11-24`. */
  readonly date: string;
}

export function describeSource(root: string): Source {
  const git = (...args: string[]) => spawnSync('git', ['-C', root, ...args], { encoding: 'utf8' });
  const commit = git('rev-parse', '--short=10', 'HEAD').stdout?.trim() || undefined;
  const { stdout } = git('status', '--porcelain', '--', 'src', 'bench', ':!bench/results.*', ':!bench/plots');
  return { commit, isChanged: stdout !== '', date: new Date().toISOString().slice(0, 10) };
}

/** The source as text for the user. */
export function formatSource({ commit, isChanged, date }: Source): string {
  const what = commit === undefined ? 'sources without a commit' : `commit ${commit}`;
  return `${what}${isChanged ? ', changed since' : ''}, ${date}`;
}

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  61267: 'ext2/3/4',
  1481003842: 'xfs',
  2435016766: 'btrfs',
  801189825: 'zfs',
  16914836: 'tmpfs',
  2035054128: 'overlayfs',
  26985: 'nfs',
};

/** `directory`: the directory of the measured files; `packages`: names of the packages whose versions matter. */
export function describeMachine(root: string, directory: string, packages: readonly string[]): Machine {
  const { type } = statfsSync(directory);
  const versions = packages.map((name) => [name, versionOf(root, name)] as const);
  return {
    node: process.versions.node,
    platform: `${platform()} ${release()} ${arch()}`,
    cpu: cpus()[0]?.model ?? 'unknown',
    cpus: availableParallelism(),
    memoryGib: Math.round(totalmem() / 2 ** 30),
    fileSystem: FILE_SYSTEMS[type] ?? `type 0x${type.toString(16)}`,
    packages: Object.fromEntries(
      versions.filter((version): version is [string, string] => version[1] !== undefined),
    ),
  };
}

/** Two lines of text for the user. */
export function formatMachine(machine: Machine): string {
  const { node, cpu, cpus: count, memoryGib, fileSystem } = machine;
  const packages = Object.entries(machine.packages).map(([name, version]) => `${name} ${version}`);
  return (
    `Node ${node}, ${machine.platform}, ${count} × ${cpu}, ${memoryGib} GiB, ${fileSystem}\n` +
    packages.join(', ')
  );
}

function versionOf(root: string, name: string): string | undefined {
  return manifestOf(root, name)?.version;
}

/** `engines.node` of an installed package. */
export function wantedNodeOf(root: string, name: string): string | undefined {
  return manifestOf(root, name)?.engines?.node;
}

interface Manifest {
  readonly version: string;
  readonly engines?: { readonly node?: string };
}

function manifestOf(root: string, name: string): Manifest | undefined {
  try {
    return JSON.parse(readFileSync(`${root}node_modules/${name}/package.json`, 'utf8')) as Manifest;
  } catch {
    return undefined;
  }
}

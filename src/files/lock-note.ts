import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import type { LockHolder } from './disk.js';

/**
 * The note in a lock file names the holder of the lock. It is for people, and for the holder's own threads. Only the lock itself
 * decides.
 *
 *   1234                                                       process id
 *   host web-1                                                 the machine or container where that id is valid
 *   process boot=6f1c… namespace=pid:[4026531836] started=8123 distinguishes processes with the same id; Linux
 *
 * Every line has a fixed width, so that a new note replaces the old one in one write, and there is no moment without a note.
 */
const PID_CHARS = 10;
const HOST_CHARS = 70;
const PROCESS_CHARS = 110;

export const NOTE_BYTES = PID_CHARS + HOST_CHARS + PROCESS_CHARS + 3;

/** Distinguishes a process from every other one that may share a directory with it. '' = not known. */
interface ProcessMark {
  readonly pid: number;
  readonly host: string;
  /** Differs between running machines, and between two boots of one machine. */
  readonly boot: string;
  /** Where process ids are valid: usually each container has its own. */
  readonly namespace: string;
  /** When the process began, in ticks since the boot: process ids are reused. */
  readonly started: string;
}

let own: ProcessMark | undefined;

/** The same in all threads of the process. */
function ownMark(): ProcessMark {
  own ??= {
    pid: process.pid,
    host: readOrEmpty(hostname),
    boot: readOrEmpty(() => readFileSync('/proc/sys/kernel/random/boot_id', 'latin1')),
    namespace: readOrEmpty(() => readlinkSync('/proc/self/ns/pid')),
    // The program's name is in parentheses and may contain any character; the start time is the 20th word after it.
    started: readOrEmpty(
      () => readFileSync('/proc/self/stat', 'latin1').replace(/^.*\)/s, '').split(' ')[20] ?? '',
    ),
  };
  return own;
}

/** The system's data about the process; '' if there is none. Only Linux has `/proc`, and not every user may read it. */
function readOrEmpty(read: () => string): string {
  try {
    return read().trim();
  } catch {
    // Without it a message may confuse two processes; the lock does not.
    return '';
  }
}

/** The note of this process, for a lock that it has just taken. */
export function writeNote(): string {
  const { pid, host, boot, namespace, started } = ownMark();
  const lines = [
    [String(pid), PID_CHARS],
    [`host ${host}`, HOST_CHARS],
    [`process boot=${boot} namespace=${namespace} started=${started}`, PROCESS_CHARS],
  ] as const;
  return lines.map(([text, chars]) => `${text.slice(0, chars).padEnd(chars)}\n`).join('');
}

/** False if a full disk prevented the note, or a tool has written something else. */
export function isNote(text: string): boolean {
  return /^[1-9]\d* *\n/.test(text);
}

/** The holder as the note describes it; `undefined`: there is no note. */
export function readNote(note: string | undefined): LockHolder {
  if (note === undefined) return { pid: undefined, place: 'unknown', host: undefined };
  const [first, ...rest] = note.split('\n').map((line) => line.trim());
  const others = rest.join('\n');
  const field = (pattern: RegExp) => pattern.exec(others)?.[1] ?? '';
  const mark: ProcessMark = {
    pid: Number(first),
    host: field(/^host (.+)$/m),
    boot: field(/^process .*\bboot=(\S+)/m),
    namespace: field(/^process .*\bnamespace=(\S+)/m),
    started: field(/^process .*\bstarted=(\S+)/m),
  };
  return { pid: mark.pid, place: placeOf(mark), host: mark.host === '' ? undefined : mark.host };
}

function placeOf(mark: ProcessMark): LockHolder['place'] {
  const self = ownMark();
  const differs = (name: 'host' | 'boot' | 'namespace' | 'started') =>
    mark[name] !== '' && self[name] !== '' && mark[name] !== self[name];
  // Used only if nothing better is known: the host's name can change while a process runs, and containers may share it.
  const isKnown = mark.boot !== '' && self.boot !== '' && mark.namespace !== '' && self.namespace !== '';
  if (isKnown ? differs('boot') || differs('namespace') : differs('host')) return 'elsewhere';
  return mark.pid === self.pid && !differs('started') ? 'this process' : 'here';
}

/** The holder as the subject of a sentence: "… has it open". */
export function nameHolder({ pid, place, host }: LockHolder): string {
  if (pid === undefined) return 'another writer';
  if (place === 'this process') return place;
  if (place !== 'elsewhere') return `process ${pid}`;
  const where = host === undefined ? '' : ` (host "${host}")`;
  return `process ${pid} of another container or machine${where}`;
}

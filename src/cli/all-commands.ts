import { append } from './commands/append.js';
import { backup } from './commands/backup.js';
import { bench } from './commands/bench.js';
import { cat } from './commands/cat.js';
import { checkpoint } from './commands/checkpoint.js';
import { createCompletion } from './commands/completion.js';
import { get } from './commands/get.js';
import { inspect } from './commands/inspect.js';
import { createMan } from './commands/man.js';
import { repair } from './commands/repair.js';
import { replica } from './commands/replica.js';
import { restore } from './commands/restore.js';
import { snapshot } from './commands/snapshot.js';
import { stats } from './commands/stats.js';
import { tail } from './commands/tail.js';
import { takeover } from './commands/takeover.js';
import { top } from './commands/top.js';
import { truncate } from './commands/truncate.js';
import { verify } from './commands/verify.js';
import type { Command } from './program/definition.js';

/** All commands, in the order of the help. */
export const COMMANDS: readonly Command[] = [
  append,
  cat,
  tail,
  get,
  inspect,
  verify,
  repair,
  backup,
  restore,
  replica,
  takeover,
  truncate,
  checkpoint,
  snapshot,
  stats,
  top,
  bench,
  createCompletion(() => COMMANDS),
  createMan(() => COMMANDS),
];

import { append } from './commands/append.js';
import { cat } from './commands/cat.js';
import { get } from './commands/get.js';
import { tail } from './commands/tail.js';
import type { Command } from './definition.js';

/** In the order in which the help shows them. */
export const COMMANDS: readonly Command[] = [append, cat, tail, get];

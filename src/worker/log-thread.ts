/**
 * The entry file of the writer thread and of the sync thread in an installed package. It has their code and no other, since each thread
 * reads its file as a whole (src/build.mjs).
 */
import { runLogThread } from './run-log-thread.js';

runLogThread();

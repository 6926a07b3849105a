/**
 * Makes a process look like one on Alpine Linux to the loader of the lock's addon, which then finds no binary under the name that it
 * looks for. Preloaded.
 */
const fs = require('node:fs');

const { existsSync } = fs;
fs.existsSync = (path) => path === '/etc/alpine-release' || existsSync(path);

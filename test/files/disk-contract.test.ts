import { createNodeDisk } from '../../src/files/node-disk.js';
import { SimulatedDisk } from '../../src/files/simulation/simulated-disk.js';
import { temporaryDirectory } from '../cleanup.js';
import { SEED } from '../seed.js';
import { testDiskContract } from './disk-contract.js';

testDiskContract('node disk', (t) => ({ disk: createNodeDisk(), root: temporaryDirectory(t) }));

testDiskContract('simulated disk', () => ({ disk: simulatedDisk(), root: '/root' }));

testDiskContract('simulated disk that clones', () => ({ disk: simulatedDisk(true), root: '/root' }));

function simulatedDisk(clones = false): SimulatedDisk {
  const disk = new SimulatedDisk({ seed: SEED, clones });
  disk.mkdir('/root');
  return disk;
}

import { createNodeDisk } from '../../src/files/node-disk.js';
import { SimulatedDisk } from '../../src/files/simulation/simulated-disk.js';
import { temporaryDirectory } from '../cleanup.js';
import { SEED } from '../seed.js';
import { testDiskContract } from './disk-contract.js';

testDiskContract('node disk', (t) => ({ disk: createNodeDisk(), root: temporaryDirectory(t) }));

testDiskContract('simulated disk', () => ({ disk: simulatedDisk(), root: '/root' }));

function simulatedDisk(): SimulatedDisk {
  const disk = new SimulatedDisk({ seed: SEED });
  disk.mkdir('/root');
  return disk;
}

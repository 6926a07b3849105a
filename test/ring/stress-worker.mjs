// On Node 20 a worker cannot load TypeScript by itself: this file can, and hands over to stress-producer.ts.
import { tsImport } from 'tsx/esm/api';

await tsImport('./stress-producer.ts', import.meta.url);

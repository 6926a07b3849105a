import assert from 'node:assert/strict';
import { test } from 'node:test';
import { postgresBinaries, WITHOUT_POSTGRES } from '../replica/support/postgres-binaries.js';
import { startExample } from './example.js';

test('the example loses nothing that was acknowledged, though writer and primary are killed', {
  skip: postgresBinaries() === undefined ? WITHOUT_POSTGRES : false,
}, async (t) => {
  const { code, output, errors } = await startExample(t, 'replicated.mjs', []).ended;
  assert.deepEqual({ code, errors }, { code: 0, errors: '' }, output);
  assert.match(output, /Proven: of [\d,]+ acknowledged payments none was lost, and each has its LSN\.\n$/);
});

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { postgres, schema } from '../../src/postgres.js';

test('sql/ringwal-replica.sql is the schema that the adapter makes', () => {
  assert.equal(readFileSync(new URL('../../sql/ringwal-replica.sql', import.meta.url), 'utf8'), schema);
});

test('options that are wrong are refused at once', () => {
  const code = { code: 'ERR_WAL_OPTION' };
  assert.throws(() => postgres({}), code);
  assert.throws(() => postgres({ connectionString: 'postgresql://a', module: '/b' }), code);
  assert.throws(
    () => postgres({ connectionString: 'postgresql://a', durability: 'none' as 'storage' }),
    code,
  );
  assert.throws(() => postgres({ connectionString: 'postgresql://a', pool: 1 } as object), code);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cases, check, whySkipped } from './check.mjs';

const skip = whySkipped() ?? false;

for (const each of cases) {
  const title =
    each.mutant === undefined
      ? `the ${each.model} model holds in every order of steps`
      : `the ${each.model} model notices the fault ${each.mutant}`;
  test(title, { skip }, (t) => {
    const { accepted, states, reason } = check(each);
    assert.equal(accepted, each.mutant === undefined, reason);
    t.diagnostic(`${states} states ${reason}`);
  });
}

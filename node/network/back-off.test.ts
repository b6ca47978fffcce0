import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackOff } from './back-off.ts';

test('what fails again and again is left alone for longer, up to a bound, and never for exactly as long', () => {
  const backOff = new BackOff(100, 5_000);
  assert.equal(backOff.restMs('a', 0), 0);
  backOff.failed('a', 0);
  const firstMs = backOff.restMs('a', 0);
  assert(firstMs >= 80 && firstMs <= 120, `${firstMs}`);
  assert.equal(backOff.restMs('a', 121), 0);
  assert.equal(backOff.restMs('b', 0), 0);
  const rests = new Set<number>();
  for (let n = 0; n < 50; n++) {
    backOff.failed('a', 1_000);
    rests.add(backOff.restMs('a', 1_000));
  }
  assert(Math.max(...rests) <= 6_000 && backOff.restMs('a', 1_000) >= 4_000, 'the bound');
  assert(rests.size > 45, 'jitter');
  backOff.worked('a');
  assert.equal(backOff.restMs('a', 1_000), 0);
});

test('made-up addresses cost no more memory than a bound', () => {
  const backOff = new BackOff(100, 5_000);
  backOff.failed('first', 0);
  for (let n = 0; n < 5_000; n++) backOff.failed(`made up ${n}`, 0);
  assert.equal(backOff.restMs('first', 0), 0);
  assert(backOff.restMs('made up 4999', 0) > 0);
});

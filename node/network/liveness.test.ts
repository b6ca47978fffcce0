import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Liveness } from './liveness.ts';

test('who says nothing for long is given up, who says anything is not', () => {
  const silent = new Liveness(0);
  assert.equal(silent.over(25_000, 0, 0), false);
  assert.equal(silent.over(25_001, 0, 0), true);
  const lively = new Liveness(0);
  lively.heard(20_000, true, false);
  assert.equal(lively.over(40_000, 0, 0), false);
});

test('who takes nothing of what is sent is given up, however much it says', () => {
  const deaf = new Liveness(0);
  for (let nowMs = 0; nowMs <= 20_000; nowMs += 10_000) {
    deaf.heard(nowMs, true, false);
    assert.equal(deaf.over(nowMs, 500, 1_000), false);
  }
  deaf.heard(30_000, true, false);
  assert.equal(deaf.over(30_000, 500, 1_000), true);
  const slow = new Liveness(0);
  for (let nowMs = 0; nowMs <= 100_000; nowMs += 10_000) {
    slow.heard(nowMs, true, false);
    assert.equal(slow.over(nowMs, nowMs, 1_000), false);
  }
});

test('a frame that never ends is given up, however lively it trickles; frame after frame is not', () => {
  const trickling = new Liveness(0);
  const talking = new Liveness(0);
  for (let nowMs = 0; nowMs < 60_000; nowMs += 5_000) {
    trickling.heard(nowMs, false, true);
    talking.heard(nowMs, true, true);
    assert.equal(trickling.over(nowMs, 0, 0), false);
  }
  trickling.heard(60_001, false, true);
  talking.heard(60_001, true, true);
  assert.equal(trickling.over(60_001, 0, 0), true);
  assert.equal(talking.over(60_001, 0, 0), false);
  // Between frames there is nothing to wait for.
  trickling.heard(60_002, true, false);
  assert.equal(trickling.over(60_002, 0, 0), false);
});

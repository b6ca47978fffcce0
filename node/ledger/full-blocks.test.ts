import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Running, SmallNetwork } from '../../test/support/small-network.ts';
import { until } from '../../test/support/until.ts';

/** A node that was away for a short while in which every block was full. */

const BLOCKS = 11;
const TRANSFERS = 900;
let network: SmallNetwork;
let member: Running;

before(async () => {
  network = await SmallNetwork.create(2, 1, 0);
  network.beginEarlier();
  await network.grow([0], async (grower) => {
    await grower.claim(0);
    await grower.grow(BLOCKS, TRANSFERS);
  });
  member = await network.start(0);
});
after(() => network.remove());

test('full blocks become final a few at a time: what is executed and not final stays small', async () => {
  const fresh = await network.start(1);
  let most = 0;
  let caughtUp = false;
  const watch = (async () => {
    while (!caughtUp) {
      most = Math.max(most, fresh.chain.pending().length);
      await nextTurn();
    }
  })();
  try {
    await until(() => fresh.chain.final.id === member.chain.final.id, 30_000, 'the node to catch up');
  } finally {
    caughtUp = true;
    await watch;
  }
  assert(most > 0 && most < BLOCKS - 3, `${most} of ${BLOCKS} blocks were held at once`);
});

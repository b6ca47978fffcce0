import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { afterEach, test } from 'node:test';
import { MarketWorld } from '../../test/support/market-world.ts';

let world: MarketWorld;
afterEach(() => world.close());

async function* content(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

test('a file is kept, audited and paid for, period by period', async () => {
  world = await MarketWorld.open({ hosts: 5 });
  const { renter } = world;
  const bytes = randomBytes(100_000);
  await world.finish(renter.files.put('a', content(bytes)));
  await world.periods(4);
  const parts: Uint8Array[] = [];
  await world.finish(
    (async () => {
      for await (const part of renter.files.read('a')) parts.push(part);
    })(),
  );
  assert.deepEqual(Buffer.concat(parts), bytes);
  assert.deepEqual(await world.orphans(renter), []);
  assert.equal(world.ledger.imbalance(), 0n);
  assert(renter.scheduler.audits().length >= 12);
  assert(renter.scheduler.audits().every(({ ok }) => ok));
  for (const host of world.hosts) assert.deepEqual(world.missed(host), []);
});

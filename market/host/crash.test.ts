import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { bytesOf, pieces, readAll } from '../../test/support/content.ts';
import type { MarketNode } from '../../test/support/market-node.ts';
import { MarketWorld } from '../../test/support/market-world.ts';

/** A host's process dies before and after every step that it takes, and comes back: it never owes what it cannot prove. */

let world: MarketWorld | undefined;
after(() => world?.close());

test('a host that crashes anywhere and comes back is paid for every period and penalised for none', async () => {
  const bytes = bytesOf('a', 900_000);
  let crashes = 0;
  for (let halfSteps = 1, crashed = true; crashed; halfSteps++) {
    await world?.close();
    world = await MarketWorld.open({ hosts: 3 });
    const { renter } = world;
    const [host] = world.hosts as [MarketNode];
    host.steps = [];
    host.crashAfter(halfSteps);
    const put = (name: string) =>
      (world as MarketWorld).finish(
        renter.files.put(name, pieces(bytes), { scheme: { data: 1, parity: 1 } }).then(
          () => true,
          () => false,
        ),
      );
    const first = await put('a');
    await world.periods(2);
    crashed = host.condition === 'down';
    const last = host.steps.at(-1);
    const where = `half-step ${halfSteps} (${last?.what} ${last?.detail.slice(0, 60)})`;
    host.crashAfter(Number.POSITIVE_INFINITY);
    if (crashed) {
      crashes++;
      await host.start();
    }
    await world.periods(1);
    const second = await put('b');
    assert(second, `${where}: the host takes nothing any more`);
    await world.periods(4);
    assert.deepEqual(world.missed(host), [], where);
    for (const name of first ? ['a', 'b'] : ['b'])
      assert.deepEqual(await world.finish(readAll(renter.files, name)), bytes, `${where}: ${name}`);
    const live = world.contract(renter, host);
    if (live !== undefined) assert(live.contract.nextPeriod >= world.period - 1, `${where}: not settled`);
    assert.equal(world.ledger.imbalance(), 0n);
  }
  assert(crashes >= 8, 'a host takes more steps than that');
});

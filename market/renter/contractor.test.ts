import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { utf8 } from '../../ledger/bytes.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import { grains } from '../../ledger/grains.ts';
import { type Hash, hashId } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES, fragmentRoot } from '../../ledger/merkle.ts';
import { KIND } from '../../node/network/kinds.ts';
import { bytesOf } from '../../test/support/content.ts';
import type { MarketNode } from '../../test/support/market-node.ts';
import { MarketWorld } from '../../test/support/market-world.ts';
import { MarketError } from '../errors.ts';

let world: MarketWorld;
afterEach(() => world.close());

/** A fragment that the hosts hold and no contract covers yet. */
async function sent(seed: string, ...hosts: readonly MarketNode[]): Promise<Hash> {
  const bytes = new Uint8Array(bytesOf(seed, FRAGMENT_BYTES));
  const root = hashId<Hash>(fragmentRoot(bytes));
  for (const { host } of hosts) await host.storeFragment(world.renter.person.accountId, root, bytes);
  return root;
}
const commit = (host: MarketNode, added: readonly Hash[], removed: readonly Hash[] = []) =>
  world.finish(world.renter.contractor.commit(host.person.nodeId, added, removed));

test('two hosts may be given the same fragments, and go separate ways', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  const [one, two] = world.hosts as [MarketNode, MarketNode];
  const shared = await sent('shared', one, two);
  const more = await sent('more', one, two);
  await commit(one, [shared]);
  await commit(two, [shared]);
  await commit(one, [more]);
  await commit(two, [more], [shared]);
  assert.deepEqual(world.covered(renter, one), [shared, more]);
  assert.deepEqual(world.covered(renter, two), [more]);
});

test('what one wants kept and another wants gone at the same time is kept', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  const [host] = world.hosts as [MarketNode];
  const [a, b] = [await sent('a', host), await sent('b', host)];
  await commit(host, [a, b]);
  const { nodeId } = host.person;
  await world.finish(
    Promise.all([renter.contractor.commit(nodeId, [], [a, b]), renter.contractor.commit(nodeId, [a])]),
  );
  assert.deepEqual(world.covered(renter, host), [a]);
});

test('any number of fragments can be added and removed at once', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  const [host] = world.hosts as [MarketNode];
  const many = Array.from({ length: 20_000 }, (_, i) => hashId<Hash>(sha256(utf8(`fragment ${i}`))));
  // The host thinks that it holds them; nobody reads them here.
  for (const root of many) host.shelf.kept.set(root, new Uint8Array(0));
  await commit(host, many);
  assert.equal(world.covered(renter, host).length, many.length);
  await commit(host, [], many.slice(1));
  assert.deepEqual(world.covered(renter, host), [many[0]]);
  assert.equal(world.ledger.imbalance(), 0n);
});

test('a refusal that the next period cures is tried again', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  const [host] = world.hosts as [MarketNode];
  const root = await sent('a', host);
  let refusals = 0;
  host.refuses = (kind) =>
    kind === KIND.signTerms && ++refusals === 1
      ? new MarketError('bad-terms', 'the period turned')
      : undefined;
  await commit(host, [root]);
  assert.deepEqual(world.covered(renter, host), [root]);
});

test('whoever cannot pay or secure the whole time gets a shorter one, and the rest when it can', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  const [poor, other] = world.hosts as [MarketNode, MarketNode];
  const pass = (from: MarketNode, to: MarketNode, amount: bigint) =>
    world.finish(
      world.submitter(from).submit({
        kind: 'transfer',
        to: to.person.accountId,
        amountGrains: grains(amount),
        memo: '',
      }),
    );
  const price = (await world.offerOf(poor))?.priceGrainsPerGiBPeriod as bigint;
  const fragment = price / 1_024n;
  const leave = (node: MarketNode, periods: bigint) =>
    pass(node, other, world.ledger.balance(node.person) - fragment * periods);
  const term = (host: MarketNode) => {
    const { contract } = world.contract(renter, host) ?? assert.fail('there is no contract');
    return contract.endPeriod - world.period;
  };
  // Enough for a hundred periods of collateral, at half the price.
  await leave(poor, 50n);
  await commit(poor, [await sent('a', poor)]);
  assert(term(poor) >= 80 && term(poor) <= 101, `secured for ${term(poor)} periods`);
  await leave(renter, 200n);
  await commit(other, [await sent('b', other)]);
  assert(term(other) >= 90 && term(other) <= 200, `paid for ${term(other)} periods`);
  await pass(other, renter, fragment * 10_000n);
  await world.finish(renter.contractor.renew(other.person.nodeId));
  assert(term(other) >= 719);
  assert.equal(world.ledger.imbalance(), 0n);
});

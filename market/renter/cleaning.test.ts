import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { LEAVES_PER_FRAGMENT } from '../../ledger/merkle.ts';
import { KIND } from '../../node/network/kinds.ts';
import { bytesOf, pieces, readAll } from '../../test/support/content.ts';
import type { MarketNode } from '../../test/support/market-node.ts';
import { MarketWorld } from '../../test/support/market-world.ts';
import { MarketError } from '../errors.ts';

let world: MarketWorld;
afterEach(() => world.close());

const SCHEME = { data: 1, parity: 1 };
const put = (name: string) =>
  world.finish(world.renter.files.put(name, pieces(bytesOf(name, 50_000)), { scheme: SCHEME }));
const contracts = () => world.hosts.filter((host) => world.contract(world.renter, host) !== undefined);

test('what was removed is not paid from the next period on; what stays, stays', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  for (const name of ['a', 'b', 'c']) await put(name);
  await world.periods(2);
  await world.finish(renter.files.remove('a'));
  await world.finish(renter.files.remove('b'));
  const revised = () => world.events.filter(({ kind }) => kind === 'contract-revised').length;
  const before = revised();
  await world.periods(1);
  assert.deepEqual(await world.orphans(renter), []);
  assert.equal(revised() - before, contracts().length, 'more than one revision a contract');
  await world.periods(2);
  assert.deepEqual(await world.finish(readAll(renter.files, 'c')), bytesOf('c', 50_000));
});

test('with nothing left a contract is closed, and the escrow comes back', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter, hosts } = world;
  const balance = () => world.ledger.balance(renter.person);
  const before = balance();
  const collateral = hosts.map((host) => world.ledger.balance(host.person));
  await put('a');
  assert(contracts().length > 0);
  const escrow = contracts().reduce(
    (sum, host) => sum + (world.contract(renter, host)?.contract.escrowGrains ?? 0n),
    0n,
  );
  await world.periods(1);
  await world.finish(readAll(renter.files, 'a'));
  await world.finish(renter.files.remove('a'));
  await world.until(() => contracts().length === 0, 'the contracts to close', 5);
  const cost = before - balance();
  assert(
    cost > 0n && cost < escrow / 50n,
    `keeping a file for a moment cost ${cost} of an escrow of ${escrow}`,
  );
  for (const [i, host] of hosts.entries()) {
    assert(world.ledger.balance(host.person) >= (collateral[i] as bigint), 'a host lost by it');
    assert.deepEqual(world.missed(host), []);
  }
  assert(world.events.every((event) => event.kind !== 'contract-ended' || event.how === 'closed'));
  await put('b');
  assert.deepEqual(await world.finish(readAll(renter.files, 'b')), bytesOf('b', 50_000));
  assert.equal(world.ledger.imbalance(), 0n);
});

test('a cleaning in the middle of an upload takes nothing of it, and another takes what is left of one that failed', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  await put('a');
  await world.periods(2);
  const [one, two] = contracts() as [MarketNode, MarketNode];
  two.refuses = (kind) => (kind === KIND.signRevision ? new MarketError('bad-terms', 'wait') : undefined);
  let ended = false;
  const putting = renter.files.put('b', pieces(bytesOf('b', 50_000)), { scheme: SCHEME }).finally(() => {
    ended = true;
  });
  const fragments = () =>
    (world.contract(renter, one)?.contract.roots.at(-1)?.leafCount ?? 0) / LEAVES_PER_FRAGMENT;
  await world.until(() => fragments() === 2, 'the first of the contracts to be revised', 1);
  const cleaning = renter.files.clean();
  await world.until(() => ended, 'the upload to end', 2);
  assert.equal(await world.finish(cleaning), 0);
  await putting;
  assert(JSON.stringify(renter.files.manifest('b')).includes(one.person.nodeId));
  assert.equal(fragments(), 2);
  assert.deepEqual(await world.finish(readAll(renter.files, 'b')), bytesOf('b', 50_000));

  for (const host of world.hosts)
    if (host !== one)
      host.refuses = (kind) => (kind === KIND.storeFragment ? new MarketError('no-room', 'full') : undefined);
  await assert.rejects(world.finish(renter.files.put('c', pieces(bytesOf('c', 50_000)), { scheme: SCHEME })));
  await world.periods(2);
  assert.deepEqual(await world.orphans(renter), []);
});

test('small files share the fragment of zeros that fills their slabs; removing one leaves it to the others', async () => {
  world = await MarketWorld.open({ hosts: 5 });
  const { renter } = world;
  for (const name of ['a', 'b'])
    await world.finish(
      renter.files.put(name, pieces(bytesOf(name, 1_000)), { scheme: { data: 2, parity: 2 } }),
    );
  const placed = (renter.files.manifest('b')?.slabs ?? []).flatMap(({ fragments }) => fragments);
  const shared = (renter.files.manifest('a')?.slabs ?? [])
    .flatMap(({ fragments }) => fragments)
    .filter(({ host, root }) => placed.some((one) => one.host === host && one.root === root));
  assert(shared.length > 0, 'nothing is shared');
  await world.periods(2);
  await world.finish(renter.files.remove('a'));
  await world.periods(2);
  assert.deepEqual(await world.orphans(renter), []);
  for (const { host, root } of placed) assert(world.covered(renter, world.at(host)).includes(root));
});

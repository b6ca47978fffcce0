import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { KIND } from '../../node/network/kinds.ts';
import { bytesOf, pieces, readAll } from '../../test/support/content.ts';
import type { MarketNode } from '../../test/support/market-node.ts';
import { MarketWorld, OFFER } from '../../test/support/market-world.ts';
import { MarketError } from '../errors.ts';
import type { Manifest } from '../files/manifest.ts';

let world: MarketWorld;
afterEach(() => world.close());

const manifest = (name: string): Manifest => {
  const found = world.renter.files.manifest(name);
  assert(found !== undefined, `there is no ${name}`);
  return found;
};
const hostsOf = (name: string, slab = 0): MarketNode[] =>
  (manifest(name).slabs[slab]?.fragments ?? []).map(({ host }) => world.at(host));
const keeps = (name: string, host: MarketNode) =>
  manifest(name).slabs.some(({ fragments }) => fragments.some((one) => one.host === host.person.nodeId));
const healthy = (name: string) => world.renter.files.health(manifest(name)).state === 'healthy';
/** Every fragment that a manifest names is under contract at its host, and nothing else is. */
async function sound(): Promise<void> {
  const { renter } = world;
  for await (const { slabs } of renter.files.all())
    for (const { fragments } of slabs)
      for (const { host, root } of fragments)
        assert(world.covered(renter, world.at(host)).includes(root), 'a fragment is under no contract');
  assert.deepEqual(await world.orphans(renter), []);
  assert.equal(world.ledger.imbalance(), 0n);
}

test('a slab that cannot be helped does not keep others from repair', async () => {
  world = await MarketWorld.open({ hosts: 5 });
  const { renter, hosts } = world;
  const [first, second] = hosts as [MarketNode, MarketNode];
  const bytes = bytesOf('a', 1_900_000);
  // The first host takes one fragment only: the second slab goes elsewhere.
  let taken = 0;
  first.refuses = (kind) =>
    kind === KIND.storeFragment && ++taken > 1 ? new MarketError('no-room', 'full') : undefined;
  await world.finish(renter.files.put('a', pieces(bytes), { scheme: { data: 1, parity: 1 } }));
  const [hopeless, other] = hostsOf('a', 0).includes(first) ? [0, 1] : [1, 0];
  assert(hostsOf('a', hopeless).includes(first) && hostsOf('a', hopeless).includes(second));
  assert(hostsOf('a', other).includes(second) && !hostsOf('a', other).includes(first));
  await world.periods(1);
  first.crash();
  second.crash();
  await world.until(() => !hostsOf('a', other).includes(second), 'the repair of the other slab', 10);
});

test('a host that fails during a repair is passed over', async () => {
  world = await MarketWorld.open({ hosts: 7 });
  const { renter } = world;
  await world.finish(
    renter.files.put('a', pieces(bytesOf('a', 100_000)), { scheme: { data: 2, parity: 2 } }),
  );
  await world.periods(1);
  const [lost] = hostsOf('a') as [MarketNode];
  const spares = world.hosts.filter((host) => !keeps('a', host));
  (spares[0] as MarketNode).refuses = (kind) =>
    kind === KIND.storeFragment ? new MarketError('no-room', 'full') : undefined;
  (spares[1] as MarketNode).refuses = (kind) =>
    kind === KIND.signTerms ? new MarketError('not-offering', 'no') : undefined;
  lost.crash();
  await world.until(() => !keeps('a', lost), 'the repair', 10);
  assert(keeps('a', spares[2] as MarketNode));
  await world.periods(8);
  await sound();
});

test('a file that is removed while it is repaired stays removed', async () => {
  world = await MarketWorld.open({ hosts: 5 });
  const { renter } = world;
  await world.finish(renter.files.put('a', pieces(bytesOf('a', 100_000))));
  await world.periods(1);
  const [lost] = hostsOf('a') as [MarketNode];
  lost.crash();
  await world.until(() => !renter.files.alive(lost.person.nodeId), 'the host to be given up', 6);
  renter.steps = [];
  const stores = () =>
    renter.steps.some(({ what, detail }) => what === 'request' && detail === String(KIND.storeFragment));
  await world.until(stores, 'the repair to begin', 3);
  await world.finish(renter.files.remove('a'));
  await world.periods(8);
  assert.deepEqual(await renter.files.page(undefined, 1), []);
  await sound();
});

test('a file that is replaced while it is repaired keeps its new content', async () => {
  world = await MarketWorld.open({ hosts: 5 });
  const { renter } = world;
  await world.finish(renter.files.put('a', pieces(bytesOf('a', 100_000))));
  await world.periods(1);
  const [lost] = hostsOf('a') as [MarketNode];
  lost.crash();
  await world.until(() => !renter.files.alive(lost.person.nodeId), 'the host to be given up', 6);
  renter.steps = [];
  const stores = () =>
    renter.steps.some(({ what, detail }) => what === 'request' && detail === String(KIND.storeFragment));
  await world.until(stores, 'the repair to begin', 3);
  await world.finish(renter.files.remove('a'));
  const scheme = { data: 1, parity: 1 };
  await world.finish(renter.files.put('a', pieces(bytesOf('new', 50_000)), { scheme }));
  await world.periods(8);
  assert.deepEqual(await world.finish(readAll(renter.files, 'a')), bytesOf('new', 50_000));
  await sound();
});

test('a fragment that goes back to an earlier host stays there', async () => {
  world = await MarketWorld.open({ hosts: 5 });
  const { renter } = world;
  const bytes = bytesOf('a', 100_000);
  await world.finish(renter.files.put('a', pieces(bytes)));
  await world.periods(1);
  const [earlier] = hostsOf('a') as [MarketNode];
  const spare = world.hosts.find((host) => !keeps('a', host)) as MarketNode;
  earlier.condition = 'down';
  for (let i = 0; i < 3; i++) await renter.book.failed(earlier.person.nodeId, world.period, 'silent');
  await world.finish(renter.files.repair('a'));
  assert(keeps('a', spare) && !keeps('a', earlier));
  earlier.condition = 'up';
  await renter.book.passed(earlier.person.nodeId, 5);
  spare.condition = 'down';
  for (let i = 0; i < 3; i++) await renter.book.failed(spare.person.nodeId, world.period, 'silent');
  await world.finish(renter.files.repair('a'));
  assert(keeps('a', earlier) && !keeps('a', spare));
  spare.condition = 'up';
  await world.periods(4);
  assert(keeps('a', earlier) && healthy('a'));
  await sound();
});

test('a reader that is told of a loss has it repaired', async () => {
  world = await MarketWorld.open({ hosts: 6 });
  const { renter } = world;
  await world.finish(
    renter.files.put('a', pieces(bytesOf('a', 100_000)), { scheme: { data: 2, parity: 2 } }),
  );
  await world.periods(1);
  const [host] = hostsOf('a') as [MarketNode];
  await host.shelf.remove([...host.shelf.roots()]);
  assert.deepEqual(await world.finish(readAll(renter.files, 'a')), bytesOf('a', 100_000));
  await world.until(() => !keeps('a', host) && healthy('a'), 'the repair', 2);
});

test('a renter who comes back after its contracts ended takes them up again', async () => {
  world = await MarketWorld.open({ hosts: 4 });
  const { renter } = world;
  for (const host of world.hosts) await world.offer(host, { ...OFFER, periodsMax: 4 });
  await world.finish(
    renter.files.put('a', pieces(bytesOf('a', 100_000)), { scheme: { data: 2, parity: 2 } }),
  );
  const before = manifest('a');
  await world.periods(1);
  renter.crash();
  const rented = () => world.hosts.some((host) => world.contract(renter, host) !== undefined);
  await world.until(() => !rented(), 'the contracts to end', 12);
  await world.periods(2);
  await renter.start();
  await world.until(() => healthy('a'), 'the contracts to be taken up', 2);
  assert.deepEqual(manifest('a'), before);
  await world.periods(5);
  assert.deepEqual(await world.finish(readAll(renter.files, 'a')), bytesOf('a', 100_000));
  await sound();
});

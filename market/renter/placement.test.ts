import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { grains } from '../../ledger/grains.ts';
import { KIND } from '../../node/network/kinds.ts';
import { bytesOf, pieces, readAll } from '../../test/support/content.ts';
import type { MarketNode } from '../../test/support/market-node.ts';
import { MarketWorld, OFFER } from '../../test/support/market-world.ts';
import { MarketError } from '../errors.ts';

let world: MarketWorld;
afterEach(() => world.close());

const SCHEME = { data: 1, parity: 1 };
const busy = (kind: number) =>
  kind === KIND.storeFragment ? new MarketError('too-many-bytes-in-flight', 'a contract first') : undefined;

test('a host that never has room for more is left, and the upload goes on elsewhere', async () => {
  world = await MarketWorld.open({ hosts: 4 });
  const { renter } = world;
  const [host] = world.hosts as [MarketNode];
  host.refuses = busy;
  const manifest = await world.finish(
    renter.files.put('a', pieces(bytesOf('a', 10_000)), { scheme: SCHEME }),
    3,
  );
  assert(!JSON.stringify(manifest).includes(host.person.nodeId));
  assert.deepEqual(await world.finish(readAll(renter.files, 'a')), bytesOf('a', 10_000));
});

test('a host that has room again after a while keeps its fragments', async () => {
  world = await MarketWorld.open({ hosts: 4 });
  const { renter } = world;
  const [host] = world.hosts as [MarketNode];
  let refusals = 0;
  host.refuses = (kind) => (++refusals <= 2 ? busy(kind) : undefined);
  const manifest = await world.finish(
    renter.files.put('a', pieces(bytesOf('a', 10_000)), { scheme: SCHEME }),
    3,
  );
  assert(JSON.stringify(manifest).includes(host.person.nodeId));
});

test('an upload to fewer hosts than it needs fails, and nothing of it stays paid', async () => {
  world = await MarketWorld.open({ hosts: 4 });
  const { renter } = world;
  for (const host of world.hosts.slice(1)) host.refuses = busy;
  await assert.rejects(
    world.finish(renter.files.put('a', pieces(bytesOf('a', 1_900_000)), { scheme: SCHEME }), 3),
    (error: { code?: string }) => error.code === 'not-enough-hosts',
  );
  await world.periods(3);
  assert.deepEqual(await renter.files.page(undefined, 1), []);
  assert.deepEqual(await world.orphans(renter), []);
});

test('a host that takes fragments and then no contract is left before the file is acknowledged', async () => {
  world = await MarketWorld.open({ hosts: 6 });
  const { renter } = world;
  const [host] = world.hosts as [MarketNode];
  host.refuses = (kind) =>
    kind === KIND.signTerms ? new MarketError('bad-terms', 'changed its mind') : undefined;
  const bytes = bytesOf('a', 5_000_000);
  const manifest = await world.finish(
    renter.files.put('a', pieces(bytes), { scheme: { data: 2, parity: 2 } }),
  );
  assert(!JSON.stringify(manifest).includes(host.person.nodeId));
  assert.deepEqual(manifest, renter.files.manifest('a'));
  for (const { fragments } of manifest.slabs)
    for (const one of fragments) assert(world.covered(renter, world.at(one.host)).includes(one.root));
  await world.periods(2);
  assert.deepEqual(await world.orphans(renter), []);
  assert.deepEqual(await world.finish(readAll(renter.files, 'a')), bytes);
});

test('a host that dies in the middle of an upload does not end it', async () => {
  world = await MarketWorld.open({ hosts: 6 });
  const { renter } = world;
  const [host] = world.hosts as [MarketNode];
  const bytes = bytesOf('a', 9_000_000);
  const source = pieces(bytes, 1_000_000, (at) => {
    if (at === 5_000_000) host.crash();
  });
  const manifest = await world.finish(renter.files.put('a', source, { scheme: { data: 2, parity: 2 } }));
  assert(!JSON.stringify(manifest).includes(host.person.nodeId));
  assert.deepEqual(await world.finish(readAll(renter.files, 'a')), bytes);
});

test('an upload that the renter cannot pay fails with that, at once', async () => {
  world = await MarketWorld.open({ hosts: 4 });
  const { renter } = world;
  for (const host of world.hosts)
    await world.offer(host, { ...OFFER, priceGrainsPerGiBPeriod: grains(10n ** 16n), collateralPercent: 0 });
  await assert.rejects(
    world.finish(renter.files.put('a', pieces(bytesOf('a', 10_000)), { scheme: SCHEME })),
    (error: { code?: string }) => error.code === 'insufficient-balance',
  );
});

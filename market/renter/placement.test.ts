import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { KIND } from '../../node/network/kinds.ts';
import { bytesOf, pieces, readAll } from '../../test/support/content.ts';
import type { MarketNode } from '../../test/support/market-node.ts';
import { MarketWorld } from '../../test/support/market-world.ts';
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
  assert.deepEqual(await renter.files.list(), []);
  assert.deepEqual(await world.orphans(renter), []);
});

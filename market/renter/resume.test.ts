import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { KIND } from '../../node/network/kinds.ts';
import { bytesOf, pieces, readAll } from '../../test/support/content.ts';
import { MarketWorld } from '../../test/support/market-world.ts';
import { MarketError } from '../errors.ts';

let world: MarketWorld;
afterEach(() => world.close());

const SCHEME = { data: 1, parity: 1 };
const SLAB_BYTES = 1_048_320;
/** Fragments of slabs that are on their way at once: of those some have come to one host only. */
const ON_THEIR_WAY = 24;
const content = bytesOf('content', 20 * SLAB_BYTES);

const sent = () =>
  world.renter.steps.filter(({ what, detail }) => what === 'request' && detail === String(KIND.storeFragment))
    .length;

/** Puts the content and crashes, or loses all hosts, when so many fragments are sent. */
async function interrupted(how: 'crash' | 'failure', fragments: number, bytes = content): Promise<void> {
  const { renter } = world;
  renter.steps = [];
  let failed = false;
  const putting = renter.files.put('a', pieces(bytes), { scheme: SCHEME });
  putting.catch(() => {
    failed = true;
  });
  await world.until(() => sent() >= fragments, 'a part of the upload');
  if (how === 'crash') {
    renter.crash();
    await renter.start();
    return;
  }
  for (const host of world.hosts)
    host.refuses = (kind) => (kind === KIND.storeFragment ? new MarketError('no-room', 'full') : undefined);
  await world.until(() => failed, 'the upload to fail');
  for (const host of world.hosts) host.refuses = () => undefined;
}

// The first is long enough for contracts to be made on the way.
for (const [how, slabs] of [
  ['crash', 68],
  ['failure', 30],
] as const)
  test(`what an upload had sent before a ${how} is not sent again, nor paid twice`, async () => {
    world = await MarketWorld.open({ hosts: 3, periodMs: 60_000 });
    const { renter } = world;
    const content = bytesOf('content', slabs * SLAB_BYTES);
    renter.resumeMs = 120_000;
    await renter.restart();
    const before = 2 * slabs - 8;
    await interrupted(how, before, content);
    assert.equal(renter.files.manifest('a'), undefined);
    await world.run(5_000);
    renter.steps = [];
    await world.finish(renter.files.put('a', pieces(content)));
    assert(sent() >= 2 && sent() <= 8 + ON_THEIR_WAY, `${sent()} fragments were sent`);
    assert.deepEqual(renter.files.manifest('a')?.scheme, SCHEME);
    assert.deepEqual(await world.finish(readAll(renter.files, 'a')), content);
    await world.periods(3);
    assert.deepEqual(await world.orphans(renter), []);
    assert.deepEqual(
      [...renter.store.rows.keys()].filter((key) => key.startsWith('upload')),
      [],
    );
    assert.deepEqual(await world.finish(readAll(renter.files, 'a')), content);
  });

test('what is not gone on with is paid no longer after a while; other content under the name is not mixed with it', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  await interrupted('failure', 10);
  await world.periods(4);
  assert.deepEqual(await world.orphans(renter), []);
  assert.deepEqual(
    [...renter.store.rows.keys()].filter((key) => key.startsWith('upload')),
    [],
  );

  await interrupted('failure', 36);
  const other = Buffer.concat([content.subarray(0, 2_096_640), bytesOf('other', 3_000_000)]);
  renter.steps = [];
  await world.finish(renter.files.put('a', pieces(other), { scheme: SCHEME }));
  assert.equal(sent(), 6, 'two slabs are the same');
  assert.deepEqual(await world.finish(readAll(renter.files, 'a')), other);
  await world.periods(4);
  assert.deepEqual(await world.orphans(renter), []);
  assert.deepEqual(await world.finish(readAll(renter.files, 'a')), other);
});

test('a host that lost what it was sent gets it again', async () => {
  world = await MarketWorld.open({ hosts: 3, periodMs: 60_000 });
  const { renter } = world;
  renter.resumeMs = 120_000;
  await renter.restart();
  await interrupted('crash', 20);
  const [host] = world.hosts.filter(({ shelf }) => shelf.kept.size > 0);
  await host?.shelf.remove([...(host?.shelf.roots() ?? [])]);
  await world.finish(renter.files.put('a', pieces(content)));
  await world.periods(2);
  assert.deepEqual(await world.finish(readAll(renter.files, 'a')), content);
  for (const one of world.hosts) assert.deepEqual(world.missed(one), []);
});

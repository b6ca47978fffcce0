import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { KIND } from '../../node/network/kinds.ts';
import { bytesOf, pieces, readAll } from '../../test/support/content.ts';
import type { MarketNode } from '../../test/support/market-node.ts';
import { MarketWorld } from '../../test/support/market-world.ts';
import { MarketError } from '../errors.ts';

let world: MarketWorld;
afterEach(() => world.close());

const SCHEME = { data: 2, parity: 2 };
const put = (name: string, content = name) =>
  world.finish(world.renter.files.put(name, pieces(bytesOf(content, 50_000)), { scheme: SCHEME }));

async function namesOf({ files }: MarketNode): Promise<readonly string[]> {
  return (await files.page(undefined, 1_000)).map(({ name }) => name);
}

/** The renter's machine is gone; a new one has its words and the ledger. */
async function lose({ renter }: MarketWorld): Promise<void> {
  renter.crash();
  renter.store.rows.clear();
  await renter.start();
}

for (const [how, noteBytes] of [
  ['from a note', undefined],
  ['from snapshots and a note', 1_500],
] as const)
  test(`all files come back ${how}, and everything goes on as before`, async () => {
    world = await MarketWorld.open({ hosts: 5 });
    const { renter } = world;
    renter.noteBytes = noteBytes;
    await renter.restart();
    const contents = new Map<string, string>();
    for (let i = 0; i < 12; i++) {
      const name = i % 3 === 0 ? `🎉 ${i}` : `folder/${i}`;
      await put(name);
      contents.set(name, name);
    }
    await put('folder/1', 'replaced');
    contents.set('folder/1', 'replaced');
    await world.finish(renter.files.remove('folder/2'));
    contents.delete('folder/2');
    const noted = () => world.until(async () => !(await renter.files.isNoteDue()), 'hosts to have the note');
    await world.periods(2);
    await noted();
    assert.deepEqual(new Set(await namesOf(renter)), new Set(contents.keys()));

    await lose(world);
    assert(await renter.files.isUnrecovered());
    await assert.rejects(
      put('too early'),
      (error) => error instanceof MarketError && error.code === 'not-recovered',
    );
    await world.periods(4);
    const { added, silent } = await world.finish(renter.files.recover());
    assert.deepEqual(new Set(added), new Set(contents.keys()));
    assert.deepEqual(silent, []);
    await world.periods(3);
    assert.deepEqual(new Set(await namesOf(renter)), new Set(contents.keys()));
    for (const [name, content] of contents)
      assert.deepEqual(await world.finish(readAll(renter.files, name)), bytesOf(content, 50_000), name);

    await put('after');
    await world.finish(renter.files.remove('folder/4'));
    await world.periods(3);
    assert.deepEqual(await world.orphans(renter), []);
    for (const host of world.hosts) assert.deepEqual(world.missed(host), []);
    assert.equal(world.ledger.imbalance(), 0n);

    await noted();
    // And again: the second machine left notes, too.
    await lose(world);
    await world.finish(renter.files.recover());
    contents.set('after', 'after');
    contents.delete('folder/4');
    assert.deepEqual(new Set(await namesOf(renter)), new Set(contents.keys()));
    assert.deepEqual((await world.finish(renter.files.recover())).added, [], 'there is nothing more');
  });

test('a host that withholds the newest note or makes one up does not hide what others have', async () => {
  world = await MarketWorld.open({ hosts: 5 });
  const { renter } = world;
  await put('a');
  const old = new Map(world.hosts.map((host) => [host, host.store.get(`note/${renter.person.accountId}`)]));
  await put('b');
  const key = `note/${renter.person.accountId}`;
  const keepers = world.hosts.filter((host) => host.store.get(key) !== undefined);
  const [first, second, third] = keepers as [MarketNode, MarketNode, MarketNode];
  first.store.rows.set(key, old.get(first) as Uint8Array);
  const forged = Uint8Array.from(second.store.get(key) as Uint8Array);
  forged[0] = 1;
  second.store.rows.set(key, forged);
  third.store.rows.delete(key);
  await lose(world);
  const { added } = await world.finish(renter.files.recover());
  assert.deepEqual(new Set(added), new Set(['a', 'b']));
});

test('until every host has answered nothing is taken out, nor written over', async () => {
  world = await MarketWorld.open({ hosts: 5 });
  const { renter } = world;
  const key = `note/${renter.person.accountId}`;
  await put('a');
  const old = new Map(world.hosts.map((host) => [host, host.store.get(key)]));
  await put('b');
  const keepers = world.hosts.filter((host) => host.store.get(key) !== undefined);
  const [newest, ...others] = keepers as [MarketNode, ...MarketNode[]];
  // Only one host has the newest note, and it is away.
  for (const host of others) host.store.rows.set(key, old.get(host) as Uint8Array);
  newest.condition = 'silent';
  await lose(world);
  const { added, silent } = await world.finish(renter.files.recover());
  assert.deepEqual(added, ['a']);
  assert.deepEqual(silent, [newest.person.nodeId]);
  await world.periods(1);
  assert((await world.orphans(renter)).length > 0, 'what was not found yet is taken for garbage');
  newest.condition = 'up';
  await world.until(async () => (await namesOf(renter)).length === 2, 'the rest to be found', 4);
  assert.deepEqual(await world.finish(readAll(renter.files, 'b')), bytesOf('b', 50_000));
  await world.periods(3);
  assert.deepEqual(await world.orphans(renter), []);
});

test('of two machines with one account the one that was overtaken says so, and loses nothing', async () => {
  world = await MarketWorld.open({ hosts: 5 });
  const { renter } = world;
  await put('a');
  await world.periods(1);
  const early = new Map(renter.store.rows);
  await put('b');
  await put('c');
  await world.periods(1);
  // The first machine comes back as it was before.
  renter.crash();
  renter.store.rows.clear();
  for (const [name, value] of early) renter.store.rows.set(name, value);
  await renter.start();
  await world.periods(3);
  for (const name of ['b', 'c'])
    assert(
      world.hosts.some((host) => world.covered(renter, host).length >= 3),
      `${name} is gone`,
    );
  assert(renter.files.isOvertaken || (await renter.files.isUnrecovered()));
  await world.finish(renter.files.recover());
  for (const name of ['a', 'b', 'c'])
    assert.deepEqual(await world.finish(readAll(renter.files, name)), bytesOf(name, 50_000));
  assert(!renter.files.isOvertaken);
});

test('notes are kept for renters with a contract only, the newest of each, and not for ever', async () => {
  world = await MarketWorld.open({ hosts: 5, renters: 2 });
  const { renter } = world;
  await put('a');
  const [host] = world.hosts.filter((one) => world.contract(renter, one) !== undefined) as [MarketNode];
  const stranger = world.nodes[1] as MarketNode;
  const code = (expected: string) => (error: { code?: string }) => error.code === expected;
  const { accountId } = renter.person;
  const { sequence, bytes } = host.host.noteOf(accountId);
  await assert.rejects(
    host.host.keepNote(stranger.person.accountId, { sequence: 1, bytes }),
    code('contract-unknown'),
  );
  assert.throws(() => host.host.noteOf(stranger.person.accountId), code('not-found'));
  await host.host.keepNote(accountId, { sequence, bytes });
  await assert.rejects(
    host.host.keepNote(accountId, { sequence, bytes: Uint8Array.from(bytes).fill(7) }),
    code('outdated'),
  );
  await assert.rejects(
    host.host.keepNote(accountId, { sequence: sequence + 1, bytes: new Uint8Array(1_048_577) }),
    code('wrong-size'),
  );
  const request = (kind: number, body: Uint8Array) => host.serve(renter.person.nodeId, kind, body);
  await assert.rejects(request(KIND.keepNote, new Uint8Array(7)), code('wrong-size'));
  await assert.rejects(request(KIND.keepNote, new Uint8Array(20).fill(255)), code('bad-terms'));
  await assert.rejects(request(KIND.listFragments, new Uint8Array(35)));

  await world.periods(1);
  await world.finish(renter.files.remove('a'));
  await world.until(() => world.contract(renter, host) === undefined, 'the contract to close', 5);
  await world.until(() => host.store.get(`note/${accountId}`) === undefined, 'the note to go', 20);
});

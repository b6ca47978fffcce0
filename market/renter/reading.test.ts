import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { FRAGMENT_BYTES } from '../../ledger/merkle.ts';
import { bytesOf, pieces, readAll } from '../../test/support/content.ts';
import type { MarketNode } from '../../test/support/market-node.ts';
import { MarketWorld } from '../../test/support/market-world.ts';

let world: MarketWorld;
afterEach(() => world.close());

const SCHEME = { data: 1, parity: 1 };
const content = bytesOf('content', 6_000_000);
const put = (name: string, bytes: Buffer) =>
  world.finish(world.renter.files.put(name, pieces(bytes), { scheme: SCHEME }));
const egress = (renter: MarketNode): bigint =>
  world.hosts.reduce((sum, host) => {
    const live = world.contract(renter, host);
    return sum + BigInt(live?.contract.egressBytes ?? 0);
  }, 0n);

test('a file that is removed or replaced while it is read is read to its end', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  for (const how of ['remove', 'replace'] as const) {
    await put('a', content);
    const reading = renter.files.read('a');
    const parts: Uint8Array[] = [];
    const next = async (): Promise<boolean> => {
      const { value, done } = await world.finish(reading.next());
      if (value !== undefined) parts.push(value);
      return done !== true;
    };
    await next();
    if (how === 'remove') await world.finish(renter.files.remove('a'));
    else await put('a', bytesOf('another', 10_000));
    await world.periods(4);
    while (await next());
    assert.deepEqual(Buffer.concat(parts), content);
    await world.periods(3);
    assert.deepEqual(await world.orphans(renter), [], 'what nobody reads any more stays paid');
  }
});

test('a reader whose hosts go away while it reads finds what was repaired', async () => {
  world = await MarketWorld.open({ hosts: 4 });
  const { renter } = world;
  await put('a', content);
  const reading = renter.files.read('a');
  const parts = [(await world.finish(reading.next())).value as Uint8Array];
  const slab = renter.files.manifest('a')?.slabs.at(-1);
  for (const { host } of slab?.fragments ?? []) {
    world.at(host).crash();
    for (let i = 0; i < 3; i++) await renter.book.failed(host, world.period, 'silent');
    await world.finish(renter.files.repair('a'), 20);
  }
  for (;;) {
    const { value, done } = await world.finish(reading.next(), 20);
    if (done === true) break;
    parts.push(value);
  }
  assert.deepEqual(Buffer.concat(parts), content);
});

test('what was read is paid for, also when the renter crashes before the next receipt', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  await put('a', content);
  await world.periods(2);
  await world.finish(readAll(renter.files, 'a'));
  await renter.restart();
  await world.periods(3);
  assert(egress(renter) >= BigInt(6 * FRAGMENT_BYTES - FRAGMENT_BYTES / 2), `${egress(renter)} bytes`);
});

test('what was read is counted on top of what is paid, whatever the data folder has forgotten', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  await put('a', content);
  await world.periods(1);
  await world.finish(readAll(renter.files, 'a'));
  await world.periods(2);
  const paid = egress(renter);
  assert(paid > 0n);
  for (const key of [...renter.store.rows.keys()])
    if (key.startsWith('egress-in/')) renter.store.rows.delete(key);
  await renter.restart();
  await world.finish(readAll(renter.files, 'a'));
  await world.periods(3);
  assert.equal(egress(renter), 2n * paid);
});

test('a host that lies about a fragment is not paid for sending it', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  await put('a', content);
  await world.periods(1);
  const [liar] = (renter.files.manifest('a')?.slabs[0]?.fragments ?? []).map(({ host }) => world.at(host));
  assert(liar !== undefined);
  for (const [root, bytes] of liar.shelf.kept)
    liar.shelf.kept.set(
      root,
      bytes.map((byte) => byte ^ 1),
    );
  const before = renter.files.egressBytes(world.contract(renter, liar)?.id as never);
  assert.deepEqual(await world.finish(readAll(renter.files, 'a')), content);
  assert.equal(renter.files.egressBytes(world.contract(renter, liar)?.id as never), before);
  assert.equal(renter.book.notes(liar.person.nodeId).suspended, 'lied');
});

test('of an upload that cannot go on no more is read', async () => {
  world = await MarketWorld.open({ hosts: 3 });
  const { renter } = world;
  let read = 0;
  async function* endless(): AsyncGenerator<Uint8Array> {
    for (const host of world.hosts)
      host.refuses = () => Object.assign(new Error('full'), { code: 'no-room' });
    for (; read < 500; read++) yield new Uint8Array(1_000_000).fill(read);
  }
  await assert.rejects(world.finish(renter.files.put('a', endless(), { scheme: SCHEME })));
  assert(read < 20, `${read} MB were read`);
});

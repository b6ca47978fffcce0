import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { bytesOf, pieces, readAll } from '../../test/support/content.ts';
import type { MarketNode } from '../../test/support/market-node.ts';
import { MarketWorld } from '../../test/support/market-world.ts';

/** The renter's process dies before and after every step that it takes; what it comes back to must be whole. */

let world: MarketWorld | undefined;
after(() => world?.close());

const bytes = bytesOf('a', 1_500_000);
const SCHEME = { data: 1, parity: 1 };
const fresh = async (): Promise<{ renter: MarketNode; world: MarketWorld }> => {
  await world?.close();
  world = await MarketWorld.open({ hosts: 4 });
  return { renter: world.renter, world };
};

/** Nothing is paid for that no file needs, and what a file needs is under contract. */
async function sound(where: string): Promise<void> {
  const { renter } = world as MarketWorld;
  assert.deepEqual(await world?.orphans(renter), [], `${where}: paid for nothing`);
  for await (const { slabs } of renter.files.all())
    for (const { fragments } of slabs)
      for (const { host, root } of fragments)
        assert(
          world?.covered(renter, world.at(host)).includes(root),
          `${where}: a fragment is under no contract`,
        );
  assert.equal(world?.ledger.imbalance(), 0n);
}

/** Does `work` over and over, with a crash one half-step later each time, until it gets through without one. */
async function atEveryStep(
  prepare: (parts: { renter: MarketNode; world: MarketWorld }) => Promise<void>,
  work: (parts: { renter: MarketNode; world: MarketWorld }) => Promise<unknown>,
  check: (
    parts: { renter: MarketNode; world: MarketWorld },
    acknowledged: boolean,
    where: string,
  ) => Promise<void>,
): Promise<number> {
  for (let halfSteps = 1; ; halfSteps++) {
    const parts = await fresh();
    const { renter } = parts;
    await prepare(parts);
    renter.steps = [];
    renter.crashAfter(halfSteps);
    let acknowledged = false;
    const working = work(parts).then(() => {
      acknowledged = true;
    });
    await parts.world.until(() => acknowledged || renter.condition === 'down', 'the work or the crash');
    const crashed = renter.condition === 'down';
    const last = renter.steps.at(-1);
    const where = `half-step ${halfSteps} (${last?.what} ${last?.detail.slice(0, 40)})`;
    renter.crashAfter(Number.POSITIVE_INFINITY);
    // It chooses other hosts than before, where it can.
    let chance = 0;
    renter.chance = () => chance++;
    if (crashed) await renter.start();
    await parts.world.periods(3);
    await check(parts, acknowledged, where);
    await sound(where);
    if (!crashed) {
      await working;
      return halfSteps;
    }
  }
}

test('an upload is there or not, and paid for only when it is', async () => {
  const halfSteps = await atEveryStep(
    async () => undefined,
    ({ renter }) => renter.files.put('a', pieces(bytes), { scheme: SCHEME }),
    async ({ renter, world }, acknowledged, where) => {
      const there = renter.files.manifest('a') !== undefined;
      assert(there || !acknowledged, `${where}: acknowledged and gone`);
      if (there) assert.deepEqual(await world.finish(readAll(renter.files, 'a')), bytes, where);
    },
  );
  assert(halfSteps > 12, 'an upload takes more steps than that');
});

test('a file that replaces another is one of the two, whole', async () => {
  const before = bytesOf('before', 30_000);
  await atEveryStep(
    async ({ renter, world }) => {
      await world.finish(renter.files.put('a', pieces(before), { scheme: SCHEME }));
    },
    ({ renter }) => renter.files.put('a', pieces(bytes), { scheme: SCHEME }),
    async ({ renter, world }, acknowledged, where) => {
      const now = await world.finish(readAll(renter.files, 'a'));
      assert(now.equals(bytes) || (now.equals(before) && !acknowledged), where);
    },
  );
});

test('a repair that is cut off leaves the file readable, and is done in the end', async () => {
  let lost: MarketNode | undefined;
  await atEveryStep(
    async ({ renter, world }) => {
      await world.finish(renter.files.put('a', pieces(bytes), { scheme: SCHEME }));
      lost = world.hosts[0] as MarketNode;
      lost.crash();
      for (let i = 0; i < 3; i++) await renter.book.failed(lost.person.nodeId, world.period, 'silent');
    },
    ({ renter }) => renter.files.repair('a'),
    async ({ renter, world }, _, where) => {
      assert.deepEqual(await world.finish(readAll(renter.files, 'a')), bytes, where);
      await world.until(
        () => world.contract(renter, lost as MarketNode) === undefined,
        'the contract with the host that is gone to fail',
      );
      await world.periods(1);
      assert(!JSON.stringify(renter.files.manifest('a')).includes((lost as MarketNode).person.nodeId), where);
    },
  );
});

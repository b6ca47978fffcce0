import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { RandomStream } from '../test/simulation/random.ts';
import { bytesOf, pieces, readAll } from '../test/support/content.ts';
import type { MarketNode } from '../test/support/market-node.ts';
import { MarketWorld } from '../test/support/market-world.ts';

/** Seeds of trouble: nodes that fall silent, die and come back, crash in the middle of things, while files come and go. */

const SEEDS = Number(process.env.MARKET_SEEDS ?? 4);
const FIRST = Number(process.env.MARKET_SEED ?? 1);
const PERIODS = 14;
const SCHEME = { data: 2, parity: 2 };

let world: MarketWorld;
afterEach(() => world.close());

/** Hosts of a file's worst slab that are there and have not lost anything. */
function present(node: MarketNode, name: string): number {
  const slabs = node.files.manifest(name)?.slabs ?? [];
  return Math.min(
    ...slabs.map(
      ({ fragments }) =>
        fragments.filter(({ host, root }) => {
          const at = world.at(host);
          return at.condition === 'up' && at.shelf.has(root) && world.covered(node, at).includes(root);
        }).length,
    ),
  );
}

const isDown = (node: MarketNode): boolean => node.condition === 'down';

async function run(seed: number): Promise<Map<string, number>> {
  const dice = new RandomStream(seed, 'market');
  world = await MarketWorld.open({ hosts: 7 });
  const { renter } = world;
  const counters = new Map<string, number>();
  const bump = (name: string): void => void counters.set(name, (counters.get(name) ?? 0) + 1);
  const chance = new RandomStream(seed, 'ties');
  renter.chance = () => chance.whole(0, 1_000) / 1_000;
  const contents = new Map<string, string>();
  /** Hosts that were up all the time: nobody may be penalised for others' trouble. */
  const honest = new Set(world.hosts);
  const ill = (): number => world.hosts.filter(({ condition }) => condition !== 'up').length;
  let files = 0;

  for (let period = 0; period < PERIODS; period++) {
    for (let part = 0; part < 4; part++) {
      const host = dice.pick(world.hosts);
      if (host.condition === 'up' && ill() < 2 && dice.chance(0.25)) {
        honest.delete(host);
        const how = dice.pick(['silent', 'down', 'crash'] as const);
        bump(how);
        if (how === 'crash') host.crash();
        else host.condition = how;
      } else if (host.condition !== 'up' && dice.chance(0.3)) {
        bump('back');
        await host.restart();
      }
      if (isDown(renter)) await renter.start();
      else if (dice.chance(0.15)) {
        bump('armed');
        renter.crashAfter(dice.whole(1, 60));
      }
      if (renter.condition === 'up' && dice.chance(0.4)) {
        const name = dice.chance(0.3) ? `file ${dice.whole(0, files)}` : `file ${++files}`;
        const content = `${seed} ${name} ${period} ${part}`;
        let ended = false;
        const putting = renter.files.put(name, pieces(bytesOf(content, 30_000)), { scheme: SCHEME }).then(
          () => {
            contents.set(name, content);
            bump('put');
            ended = true;
          },
          (error: { code?: string; message: string }) => {
            bump(`refused: ${error.code}`);
            ended = true;
          },
        );
        await world.until(() => ended || isDown(renter), 'the upload or a crash', 20);
        if (isDown(renter)) {
          bump('crashed');
          // Not acknowledged: it may be there or not, old or new.
          contents.delete(name);
          if (!ended) void putting;
        }
      }
      if (renter.condition === 'up' && contents.size > 0 && dice.chance(0.1)) {
        const name = dice.pick([...contents.keys()]);
        contents.delete(name);
        let removed = false;
        void renter.files.remove(name).then(() => {
          removed = true;
        });
        await world.until(() => removed || isDown(renter), 'the removal or a crash', 2);
        bump('removed');
      }
      await world.run(2_500);
      assert.equal(world.ledger.imbalance(), 0n);
      if (renter.condition !== 'up') continue;
      for (const [name, content] of contents) {
        if (isDown(renter)) break;
        if (present(renter, name) < SCHEME.data || !dice.chance(0.2)) continue;
        let read: Buffer | undefined;
        const reading = readAll(renter.files, name).then((bytes) => {
          read = bytes;
        });
        reading.catch(() => undefined);
        await world.until(() => read !== undefined || isDown(renter), `${name} to be read`, 12);
        if (read === undefined) break;
        assert.deepEqual(read, bytesOf(content, 30_000));
        bump('read');
      }
    }
  }
  // Everybody comes back, and what is amiss is mended.
  renter.crashAfter(Number.POSITIVE_INFINITY);
  for (const node of world.nodes) if (node.condition !== 'up') await node.restart();
  const mended = async (): Promise<boolean> =>
    (await world.orphans(renter)).length === 0 &&
    (await renter.files.page(undefined, 1_000)).every(
      (manifest) => renter.files.health(manifest).state !== 'degraded',
    );
  await world.until(mended, 'what is amiss to be mended', 40);
  for (const [name, content] of contents) {
    if (present(renter, name) < SCHEME.data) {
      bump('lost');
      continue;
    }
    assert.deepEqual(await world.finish(readAll(renter.files, name)), bytesOf(content, 30_000), name);
  }
  for (const host of honest) assert.deepEqual(world.missed(host), [], `${host.person.name} was punished`);
  assert.equal(world.ledger.imbalance(), 0n);
  return counters;
}

test(`${SEEDS} seeds of trouble: files stay whole, nothing is paid for nothing, the honest are not punished`, async () => {
  const totals = new Map<string, number>();
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    try {
      for (const [name, count] of await run(seed)) totals.set(name, (totals.get(name) ?? 0) + count);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
    await world.close();
  }
  for (const name of ['silent', 'down', 'crash', 'crashed', 'put', 'read', 'removed'])
    assert((totals.get(name) ?? 0) > 0, `never happened: ${name}`);
});

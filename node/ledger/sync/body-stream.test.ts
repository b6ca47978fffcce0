import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';
import { type Block, blockIdOf, genesisHeader } from '../../../ledger/block.ts';
import { LedgerError } from '../../../ledger/errors.ts';
import type { BlockId, Hash, NodeId } from '../../../ledger/ids.ts';
import { LedgerWorld } from '../../../test/support/ledger-world.ts';
import { until } from '../../../test/support/until.ts';
import { NetworkError } from '../../network/network-error.ts';
import { BodyStream, type BodyStreamOptions } from './body-stream.ts';

const world = new LedgerWorld(['ann']);
const chain: Block[] = [];
for (let height = 1; height <= 400; height++) {
  const header = { ...genesisHeader(world.genesis, '00'.repeat(32) as Hash), height };
  chain.push({ header, transactions: [] });
}
const ids = chain.map((block) => blockIdOf(block.header));
const byId = new Map(chain.map((block, i) => [ids[i] as BlockId, block]));
const peer = (name: string): NodeId => name as NodeId;

type Answer = (ids: readonly BlockId[]) => Promise<readonly Block[]>;
const good: Answer = async (asked) => asked.map((id) => byId.get(id) as Block);

function stream(peers: Record<string, Answer>, options: Partial<BodyStreamOptions> = {}) {
  const asked = new Map<string, number>();
  const bad: NodeId[] = [];
  const bodies = new BodyStream({
    ids,
    peers: () => Object.keys(peers).map(peer),
    ask: async (from, wanted) => {
      asked.set(from, (asked.get(from) ?? 0) + 1);
      return (await (peers[from] as Answer)(wanted)).map((block) => ({ block, bytes: 300 }));
    },
    signal: new AbortController().signal,
    slowMs: 300,
    onBad: (from) => bad.push(from),
    ...options,
  });
  return { bodies, asked, bad };
}

async function all(bodies: BodyStream): Promise<void> {
  for (const id of ids) {
    const block = await bodies.next();
    assert(block !== undefined && blockIdOf(block.header) === id);
  }
  assert.equal(await bodies.next(), undefined);
}

test('blocks come in order from several peers at once, whatever each gives at a time', async () => {
  const { bodies, asked } = stream({
    a: good,
    b: async (wanted) => (await good(wanted)).slice(0, 7),
    c: async (wanted) => pause(5, await good(wanted)),
  });
  await all(bodies);
  assert.equal(asked.size, 3);
});

test('a peer that gives other blocks, more than asked for or no blocks at all is not asked again', async () => {
  const liar: Answer = async (wanted) => (await good(wanted)).toReversed();
  const giver: Answer = async (wanted) => [...(await good(wanted)), chain[0] as Block];
  const babbler: Answer = async () => {
    throw new LedgerError('malformed', 'expected blocks');
  };
  const { bodies, asked, bad } = stream({ liar, giver, babbler, honest: good });
  await all(bodies);
  assert.deepEqual(new Set(bad), new Set(['liar', 'giver', 'babbler'].map(peer)));
  for (const name of ['liar', 'giver', 'babbler'])
    assert((asked.get(name) ?? 0) <= 4, `${name} is asked for what was under way, no more`);
});

test('peers that are silent, behind or gone do not hold it up', async () => {
  const silent: Answer = () => new Promise(() => undefined);
  const behind: Answer = async () => [];
  const gone: Answer = async () => {
    throw new NetworkError('closed', 'gone');
  };
  const { bodies, bad } = stream({ silent, behind, gone, honest: good });
  const startMs = performance.now();
  await all(bodies);
  assert(performance.now() - startMs < 8_000);
  assert.deepEqual(bad, []);
});

test('a peer that is slow, time and again, holds nobody up and is left out while others are there', async () => {
  const slow: Answer = async (wanted) => pause(1_200, await good(wanted));
  const many = Array.from({ length: 8_000 }, (_, i) => ids[i % ids.length] as BlockId);
  const { bodies, asked } = stream({ slow, a: good, b: good }, { ids: many, slowMs: 60_000 });
  for (const _ of many) assert(await bodies.next());
  assert((asked.get('slow') ?? 0) <= 8, `${asked.get('slow')} of 125 ranges were asked of it`);
  // Alone, it is better than nobody.
  const { bodies: others } = stream({ slow }, { ids: ids.slice(0, 70) });
  for (let n = 0; n < 70; n++) assert(await others.next());
});

test('round trips do not bound the rate: while blocks are executed, enough others are on their way', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'Date'], now: 0 });
  const LINK_MS = 100;
  const far: Answer = async (wanted) =>
    new Promise((resolve) => setTimeout(() => resolve(good(wanted)), LINK_MS));
  const many = Array.from({ length: 3_200 }, (_, i) => ids[i % ids.length] as BlockId);
  const { bodies } = stream({ far }, { ids: many });
  let isOver = false;
  const execute = async (): Promise<void> => {
    for (const n of many.keys()) {
      await bodies.next();
      // 1,600 blocks a second.
      if (n % 8 === 7) await new Promise<void>((resolve) => setTimeout(resolve, 5));
    }
    isOver = true;
  };
  const executing = execute();
  while (!isOver) {
    t.mock.timers.tick(1);
    await new Promise((resolve) => setImmediate(resolve));
  }
  await executing;
  const busyMs = (many.length / 8) * 5;
  assert(Date.now() <= busyMs * 1.1 + 3 * LINK_MS, `${Date.now()} ms for ${busyMs} ms of work`);
});

test('what no peer has is said, again and again, and comes when one of them has it after all', async () => {
  let heard = 0;
  let late = false;
  const pruned: Answer = async (wanted) => (wanted.includes(ids[0] as BlockId) ? [] : good(wanted));
  const { bodies } = stream(
    { a: pruned, b: pruned, c: async (wanted) => (late ? good(wanted) : pruned(wanted)) },
    { onNobody: () => heard++ },
  );
  const first = bodies.next();
  await until(() => heard > 2, 5_000, 'word of it');
  late = true;
  assert.equal(blockIdOf(((await first) as Block).header), ids[0]);
});

test('a peer that is only a little behind is no reason to say so', async () => {
  let heard = 0;
  const behind: Answer = async (wanted) => (await good(wanted)).filter((block) => block.header.height <= 100);
  const { bodies, asked } = stream({ behind, honest: good }, { onNobody: () => heard++ });
  await all(bodies);
  assert.equal(heard, 0);
  assert((asked.get('behind') ?? 0) < 10, 'it is asked last for what it may not have');
});

test('what is fetched ahead is bounded, and closing or the signal ends it', async () => {
  let arrived = 0;
  const many = Array.from({ length: 4_000 }, (_, i) => ids[i % ids.length] as BlockId);
  const abort = new AbortController();
  const { bodies } = stream(
    { a: good, b: good },
    { ids: many, signal: abort.signal, onArrived: () => arrived++ },
  );
  await until(() => arrived >= 1_024, 2_000, 'as much as may be fetched ahead');
  await new Promise((resolve) => setImmediate(resolve));
  assert(arrived <= 1_024 + 64, String(arrived));
  await bodies.next();
  abort.abort(new Error('stopped'));
  await assert.rejects(bodies.next(), /stopped/);
  const { bodies: others } = stream({ none: () => new Promise(() => undefined) });
  const waiting = others.next();
  others.close();
  assert.equal(await waiting, undefined);
});

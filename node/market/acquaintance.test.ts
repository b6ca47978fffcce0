import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccountId, NodeId } from '../../ledger/ids.ts';
import type { LiveContract, OfferingNode } from '../../market/interfaces.ts';
import { Acquaintance, type AcquaintanceOptions, OFFERING_LINKED } from './acquaintance.ts';

const self = { nodeId: 'self' as NodeId, accountId: 'me' as AccountId };

/** A node whose ledger names these hosts, and whose links are what `connected` holds. */
function renter(offering: readonly string[], rented: readonly string[] = []) {
  const connected = new Set<NodeId>();
  const dialled: NodeId[] = [];
  const clock = { ms: 0 };
  const view = {
    ...self,
    get height() {
      return offering.length;
    },
    offers: async () =>
      offering.map((name) => ({
        nodeId: name as NodeId,
        ownerId: (name === 'mine' ? 'me' : `owner of ${name}`) as AccountId,
      })) as unknown as OfferingNode[],
    contractsOf: async () =>
      rented.map((host) => ({ id: host, contract: host })) as unknown as LiveContract[],
    hostNodeOf: (contract: unknown) => contract as NodeId,
  } as AcquaintanceOptions['view'];
  const acquaintance = new Acquaintance({
    view,
    network: { connected: (peer) => connected.has(peer), reach: (peer) => void dialled.push(peer) },
    now: () => clock.ms,
    random: () => 0.5,
  });
  return {
    connected,
    clock,
    /** Whom it dials in a round that begins so much later. */
    async round(laterMs = 2_000): Promise<readonly NodeId[]> {
      clock.ms += laterMs;
      dialled.length = 0;
      await acquaintance.round();
      return [...dialled];
    },
  };
}

test('a node with one seed dials those who offer, but neither itself nor another node of its owner', async () => {
  const { round, connected } = renter(['a', 'self', 'mine', 'b']);
  connected.add('b' as NodeId);
  assert.deepEqual(await round(), ['a']);
});

test('who keeps its fragments is dialled first, whether or not he still offers', async () => {
  const { round } = renter(['a', 'b'], ['z', 'b']);
  assert.deepEqual(await round(), ['z', 'b', 'a']);
});

test('who does not answer is tried less and less often, and at once when a link was there and ended', async () => {
  const { round, connected, clock } = renter(['a']);
  const triedAt: number[] = [];
  for (let i = 0; i < 60; i++) if ((await round()).length > 0) triedAt.push(clock.ms / 1_000);
  assert.deepEqual(triedAt, [2, 6, 14, 30, 62]);
  connected.add('a' as NodeId);
  assert.deepEqual(await round(), []);
  connected.clear();
  assert.deepEqual(await round(), ['a']);
});

test('a large network is not dialled as a whole, and not at once', async () => {
  const { round, connected } = renter(Array.from({ length: 500 }, (_, i) => `n${i}`));
  let largest = 0;
  for (let i = 0; i < 20; i++) {
    const dialled = await round();
    largest = Math.max(largest, dialled.length);
    for (const peer of dialled) connected.add(peer);
  }
  assert.equal(connected.size, OFFERING_LINKED);
  assert(largest <= 8, `${largest} at once`);
});

test('where many do not answer, others get their turn', async () => {
  const { round } = renter(Array.from({ length: 100 }, (_, i) => `n${i}`));
  const dialled = new Set<NodeId>();
  for (let i = 0; i < 120; i++) for (const peer of await round()) dialled.add(peer);
  assert(dialled.size > 60, `only ${dialled.size} of 100 were tried in four minutes`);
});

test('who begins to offer while few do is dialled in the next round: a node that catches up knew of some only', async () => {
  const offering = ['a'];
  const { round, connected } = renter(offering);
  assert.deepEqual(await round(), ['a']);
  connected.add('a' as NodeId);
  offering.push('b');
  assert.deepEqual(await round(), ['b']);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { grains } from '../../ledger/grains.ts';
import type { AccountId, NodeId } from '../../ledger/ids.ts';
import { type Candidate, chooseHosts } from './choose-hosts.ts';

const host = (name: string, owner: string, address: string, more: Partial<Candidate> = {}): Candidate => ({
  nodeId: name as NodeId,
  ownerId: owner as AccountId,
  addresses: [address],
  offer: {
    priceGrainsPerGiBPeriod: grains(100),
    egressGrainsPerGiB: grains(1),
    collateralPercent: 50,
    freeBytes: 0,
    periodsMin: 1,
    periodsMax: 1_000,
  },
  member: false,
  score: 1,
  reachable: true,
  suspended: false,
  takesMore: true,
  ...more,
});
const names = (candidates: readonly Candidate[], count: number, avoid: string[] = []) =>
  chooseHosts(candidates, count, () => 0, new Set(avoid as NodeId[])).map(({ nodeId }) => String(nodeId));

test('different owners come before different networks, those before a better score', () => {
  const candidates = [
    host('a1', 'a', '10.0.0.1:7000'),
    host('a2', 'a', '10.9.0.1:7000'),
    host('b', 'b', '10.0.0.2:7000', { score: 0.9 }),
    host('c', 'c', '10.1.0.1:7000', { score: 0.5 }),
  ];
  assert.deepEqual(names(candidates, 2), ['a1', 'c']);
  assert.deepEqual(names(candidates, 3), ['a1', 'c', 'b']);
  assert.deepEqual(names(candidates, 4), ['a1', 'c', 'b', 'a2']);
});

test('a replacement keeps away from those that keep the rest of the slab', () => {
  const candidates = [
    host('a1', 'a', '10.0.0.1:7000'),
    host('a2', 'a', '10.9.0.1:7000'),
    host('b', 'b', '10.0.0.2:7000', { score: 0.9 }),
    host('c', 'c', '10.1.0.1:7000', { score: 0.5 }),
  ];
  assert.deepEqual(names(candidates, 1, ['a1']), ['c']);
  assert.deepEqual(names(candidates, 1, ['a1', 'c']), ['b']);
  assert.deepEqual(names(candidates, 1, ['a1', 'b', 'c']), ['a2']);
});

test('price, silence, suspension and terms decide who is asked at all', () => {
  const dear = host('dear', 'a', '10.0.0.1:7000');
  const candidates = [
    { ...dear, offer: { ...dear.offer, priceGrainsPerGiBPeriod: grains(300) } },
    host('cheap', 'b', '10.1.0.1:7000', { score: 0.5 }),
    host('away', 'c', '10.2.0.1:7000', { reachable: false }),
    host('liar', 'd', '10.3.0.1:7000', { suspended: true }),
    host('full', 'e', '10.4.0.1:7000', { takesMore: false }),
  ];
  assert.deepEqual(names(candidates, 2), ['cheap', 'dear']);
  assert.throws(() => names(candidates, 3), { code: 'not-enough-hosts' });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../../ledger/bytes.ts';
import { Committee } from '../../../ledger/consensus/committee.ts';
import type { Franchise } from '../../../ledger/consensus/epoch-state.ts';
import { sha256 } from '../../../ledger/crypto/sha256.ts';
import { type ChainId, type Hash, hashId, type NodeId } from '../../../ledger/ids.ts';
import { person } from '../../../test/support/ledger-world.ts';
import type { PeerInfo } from '../../network/network.ts';
import type { PeerListener } from '../../network/peer-links.ts';
import type { TwinSighting } from '../../network/twins.ts';
import { watchOwnKey } from './own-key.ts';

/** When a member gives its vote up because another may sign with its key. */

class Links {
  readonly linked = new Set<NodeId>();
  hear: (sighting: TwinSighting) => void = () => assert.fail('nobody listens');
  #changed: PeerListener = () => undefined;

  onTwin(listener: (sighting: TwinSighting) => void): () => void {
    this.hear = listener;
    return () => undefined;
  }
  onPeer(listener: PeerListener): () => void {
    this.#changed = listener;
    return () => undefined;
  }
  connected(peer: NodeId): boolean {
    return this.linked.has(peer);
  }
  peers(): readonly PeerInfo[] {
    return [...this.linked].map((nodeId) => ({ nodeId }) as PeerInfo);
  }
  link(peer: NodeId): void {
    this.linked.add(peer);
    this.#changed(peer, 'connected');
  }
  lose(peer: NodeId): void {
    this.linked.delete(peer);
    this.#changed(peer, 'disconnected');
  }
  meetTwin(refused: boolean): void {
    this.hear({ refused, address: undefined, atMs: 0 });
  }
}

function watched(size: number) {
  const members = Array.from({ length: size }, (_, n) => person(`key ${n}`));
  const seats = members.map(({ nodeId, accountId }, n) => ({
    seatId: hashId<Hash>(sha256(utf8(`seat ${n}`))),
    nodeId,
    accountId,
  }));
  const [self, ...others] = members.map(({ nodeId }) => nodeId) as [NodeId, ...NodeId[]];
  const links = new Links();
  const state = {
    committee: new Committee('ab'.repeat(32) as ChainId, 0, seats),
    franchise: 'voting' as Franchise,
  };
  const doubts: number[] = [];
  const { signal } = new AbortController();
  watchOwnKey({
    network: links,
    nodeId: self,
    signal,
    state: () => state,
    doubt: (restMs) => doubts.push(restMs),
  });
  return { links, others, state, doubts };
}

test('a member that is refused votes on while a quorum has it linked, and not without', () => {
  const { links, others, doubts } = watched(4);
  for (const other of others) links.link(other);
  links.meetTwin(false);
  links.lose(others[0] as NodeId);
  links.meetTwin(true);
  assert.deepEqual(doubts, []);
  links.lose(others[1] as NodeId);
  links.meetTwin(true);
  const [restMs = 0] = [...doubts];
  assert(restMs >= 10_000, 'until whoever refuses it has been dialled again');
});

test('a member that asks for its vote gets none while it meets a twin, whoever was first', () => {
  const { links, others, state, doubts } = watched(4);
  state.franchise = 'asking';
  for (const other of others) links.link(other);
  links.meetTwin(false);
  links.meetTwin(true);
  assert.equal(doubts.length, 2);
});

test('a member that was cut off from so many that a copy could get a quorum asks anew once it is linked', () => {
  const { links, others, doubts } = watched(4);
  const [b, c, d] = others as [NodeId, NodeId, NodeId];
  for (const other of others) links.link(other);
  links.lose(b);
  links.link(b);
  assert.deepEqual(doubts, [], 'one link that was lost says nothing');
  links.lose(b);
  links.lose(c);
  links.link(person('a stranger').nodeId);
  assert.deepEqual(doubts, []);
  links.link(c);
  links.link(b);
  assert.deepEqual(doubts, [0], 'once');
  assert(links.connected(d));
});

test('who is the whole committee goes on while anybody is linked to it, and rests when it is refused by all', () => {
  const { links, doubts } = watched(1);
  const follower = person('a follower').nodeId;
  links.link(follower);
  links.meetTwin(true);
  links.lose(follower);
  assert.deepEqual(doubts, []);
  links.meetTwin(true);
  assert.equal(doubts.length, 1);
});

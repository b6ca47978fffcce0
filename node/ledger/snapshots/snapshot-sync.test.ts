import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { utf8 } from '../../../ledger/bytes.ts';
import { encodeChunk } from '../../../ledger/commitment/state-chunk.ts';
import type { BlockId } from '../../../ledger/ids.ts';
import { accountOf } from '../../../ledger/state/draft.ts';
import { accountNumber, ChainGrower } from '../../../test/support/chain-grower.ts';
import { LedgerPeer } from '../../../test/support/ledger-peer.ts';
import { SmallNetwork } from '../../../test/support/small-network.ts';
import { KIND } from '../../network/kinds.ts';
import { verifyLedger } from '../maintenance/verify-ledger.ts';
import { encodeFinal } from '../store/final-record.ts';
import { decodeStates, encodeStates } from './snapshot-messages.ts';

let network: SmallNetwork;
let whole: string;
const peers: LedgerPeer[] = [];

before(async () => {
  network = await SmallNetwork.create(4, 4, 0);
  network.beginEarlier();
  whole = network.members[0]?.folder as string;
  await network.grow([0], async (grower) => {
    await grower.claim();
    await grower.grow(60, 40);
  });
});
after(async () => {
  for (const peer of peers.reverse()) await peer.close();
  await network.remove();
});

let folders = 0;
const newFolder = (): string => join(network.folder, `peer-${folders++}`);

async function open(folder: string, others: readonly LedgerPeer[] = []): Promise<LedgerPeer> {
  const peer = await LedgerPeer.open(folder, network.genesis, others);
  peers.push(peer);
  return peer;
}
/** Nodes that have the whole ledger and hand it over. */
async function servers(count: number): Promise<readonly LedgerPeer[]> {
  const opened = [];
  for (let n = 0; n < count; n++) {
    const folder = newFolder();
    cpSync(whole, folder, { recursive: true });
    opened.push(await open(folder));
  }
  return opened;
}
/** A fresh node that has just met the others. */
const follower = (others: readonly LedgerPeer[]): Promise<LedgerPeer> => open(newFolder(), others);

/** Calls when a node is asked for a chunk. */
function onChunk({ links }: LedgerPeer, then: () => void): void {
  links.admitBy((_, kind) => {
    if (kind === KIND.getChunk) then();
    return undefined;
  });
}

test('a fresh node takes the state from several peers, and has nothing wrong', async () => {
  const others = await servers(3);
  const asked = new Set<LedgerPeer>();
  for (const other of others) onChunk(other, () => asked.add(other));
  const fresh = await follower(others);
  assert.equal(await fresh.sync(50), true);
  const [{ chain }] = others as [LedgerPeer];
  assert.deepEqual(encodeFinal(fresh.chain.final), encodeFinal(chain.final));
  assert.deepEqual(
    accountOf(fresh.chain.state, accountNumber(77)),
    accountOf(chain.state, accountNumber(77)),
  );
  assert.equal(fresh.chain.store.prunedHeight, 61);
  assert.equal(asked.size, 3, 'all peers were asked');
  // There is nothing further ahead.
  assert.equal(await fresh.sync(50), false);
  await fresh.close();
  const report = await verifyLedger({ dataFolder: fresh.folder, genesis: network.genesis });
  assert.deepEqual(report.findings, []);
  assert.equal(report.pruned, 61);
});

test('a peer that gives bad chunks is shunned, one that forges states too; the others do', async () => {
  const [honest, liar, forger] = (await servers(3)) as [LedgerPeer, LedgerPeer, LedgerPeer];
  forger.links.handle(KIND.getStates, 8, () => {
    const header = forger.chain.header(forger.chain.final.id);
    assert(header !== undefined);
    const position = { view: 99, parentView: 98, height: 1_000, blockId: 'ab'.repeat(32) as BlockId };
    return encodeStates({
      boundaries: [],
      states: [
        {
          header: { ...header, height: 1_000 },
          certificate: {
            type: 'finalize',
            epoch: 0,
            view: 99,
            position,
            bitmap: Uint8Array.of(0b1110_0000),
            signatures: [1, 2, 3].map((n) => new Uint8Array(64).fill(n)),
          },
        },
      ],
    });
  });
  liar.links.handle(KIND.getChunk, 1_000, () =>
    encodeChunk({
      from: '0'.repeat(64),
      to: undefined,
      rows: [{ key: 'account/02', row: utf8('x') }],
      pages: [],
    }),
  );
  const fresh = await follower([liar, forger, honest]);
  assert.equal(await fresh.sync(50), true);
  assert.equal(fresh.chain.final.id, honest.chain.final.id);
  const left = fresh.links.peers().map(({ nodeId }) => nodeId);
  assert.deepEqual(left, [honest.links.nodeId]);
  await fresh.close();
});

test('with only bad peers nothing changes, and the node goes on block by block', async () => {
  const [liar] = (await servers(1)) as [LedgerPeer];
  liar.links.handle(KIND.getChunk, 1_000, () => utf8('no chunk at all'));
  const fresh = await follower([liar]);
  const { id } = fresh.chain.final;
  assert.equal(await fresh.sync(50), false);
  assert.equal(fresh.chain.final.id, id);
  await fresh.close();
  assert.deepEqual((await verifyLedger({ dataFolder: fresh.folder, genesis: network.genesis })).findings, []);
});

test('the state that is handed over stays as it was while blocks are committed', async () => {
  const [busy] = (await servers(1)) as [LedgerPeer];
  const grower = new ChainGrower(network, busy.chain);
  const fresh = await follower([busy]);
  const { id } = busy.chain.final;
  let growing: Promise<void> | undefined;
  onChunk(busy, () => {
    growing ??= grower.grow(20, 20).then(() => busy.snapshots.committed());
  });
  assert.equal(await fresh.sync(50), true);
  assert.equal(fresh.chain.final.id, id);
  await growing;
  assert(busy.chain.final.height > fresh.chain.final.height);
  await fresh.close();
});

test('a node that is not far behind, or wants no snapshot, leaves it; one that is stopped changes nothing', async () => {
  const [one] = (await servers(1)) as [LedgerPeer];
  const fresh = await follower([one]);
  assert.equal(await fresh.sync(62), false);
  assert.equal(await fresh.sync(0), false);
  const stopping = new AbortController();
  onChunk(one, () => stopping.abort(new Error('stopped')));
  await assert.rejects(fresh.sync(50, stopping.signal));
  assert(stopping.signal.aborted);
  assert.equal(fresh.chain.final.height, 0);
  await fresh.close();
});

test('what is asked for badly is refused, and states come with the way to their committees', async () => {
  const [one] = (await servers(1)) as [LedgerPeer];
  const fresh = await follower([one]);
  const ask = (kind: number, body: Uint8Array): Promise<Uint8Array> =>
    fresh.links.request(one.links.nodeId, kind, body);
  await assert.rejects(ask(KIND.getChunk, utf8('junk')), { remoteCode: 'malformed' });
  await assert.rejects(ask(KIND.getChunk, new Uint8Array(65)), { remoteCode: 'gone' });
  await assert.rejects(ask(KIND.getStates, utf8('junk')), { remoteCode: 'malformed' });
  const { states, boundaries } = decodeStates(await ask(KIND.getStates, new Uint8Array(8)));
  assert.equal(states.length, 1);
  assert.equal(states[0]?.header.height, 61);
  assert.deepEqual(boundaries, []);
  await fresh.close();
});

/** Has a fresh node stopped after some chunks; gives its folder and how many it had. */
async function cutOff(from: LedgerPeer): Promise<{ folder: string; chunks: number }> {
  const fresh = await follower([from]);
  const stopping = new AbortController();
  let chunks = 0;
  onChunk(from, () => {
    if (++chunks === 40) stopping.abort();
  });
  await assert.rejects(fresh.sync(50, stopping.signal), /aborted/);
  await fresh.close();
  return { folder: fresh.folder, chunks };
}

test('a node that was stopped while it fetched goes on with what it has, and has nothing wrong', async () => {
  const [one] = (await servers(1)) as [LedgerPeer];
  const { folder, chunks } = await cutOff(one);
  let more = 0;
  onChunk(one, () => more++);
  const again = await open(folder, [one]);
  assert.equal(again.chain.final.height, 0, 'nothing is final here before all of it is');
  assert.equal(again.chain.store.idAt(30), undefined);
  assert.equal(await again.sync(50), true);
  assert.equal(again.chain.final.id, one.chain.final.id);
  // What was under way is asked for again, no more.
  assert(more < chunks, `${chunks} chunks were fetched before, ${more} after`);
  await again.close();
  assert.deepEqual((await verifyLedger({ dataFolder: folder, genesis: network.genesis })).findings, []);
});

test('a state that was begun and that nobody has any more makes room for one that somebody has', async () => {
  const [one, later] = (await servers(2)) as [LedgerPeer, LedgerPeer];
  const { folder } = await cutOff(one);
  await new ChainGrower(network, later.chain).grow(5);
  const again = await open(folder, [later]);
  assert.equal(await again.sync(50), true);
  assert.equal(again.chain.final.id, later.chain.final.id);
  await again.close();
  assert.deepEqual((await verifyLedger({ dataFolder: folder, genesis: network.genesis })).findings, []);
});

test('rows that rotted on disk while it was stopped are not taken over: all is fetched anew', async () => {
  const [one] = (await servers(1)) as [LedgerPeer];
  const { folder } = await cutOff(one);
  const again = await open(folder, [one]);
  const { database } = again.chain.store;
  const [[key, row] = []] = await database.iterator({ gte: 's1/', lt: 's10', limit: 1 }).all();
  assert(key !== undefined && row !== undefined);
  await database.put(
    key,
    Uint8Array.from(row, (byte) => byte ^ 1),
  );
  assert.equal(await again.sync(50), false, 'what is there does not give the root');
  assert.equal(again.chain.final.height, 0);
  assert.equal(await again.sync(50), true);
  assert.equal(again.chain.final.id, one.chain.final.id);
  await again.close();
});

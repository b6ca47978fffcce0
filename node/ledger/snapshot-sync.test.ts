import assert from 'node:assert/strict';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { pino } from 'pino';
import { utf8 } from '../../ledger/bytes.ts';
import { encodeChunk } from '../../ledger/commitment/state-chunk.ts';
import { sha256 } from '../../ledger/crypto/sha256.ts';
import type { BlockId } from '../../ledger/ids.ts';
import { accountOf } from '../../ledger/state/draft.ts';
import { accountNumber, ChainGrower } from '../../test/support/chain-grower.ts';
import { SmallNetwork } from '../../test/support/small-network.ts';
import { until } from '../../test/support/until.ts';
import { KIND } from '../network/kinds.ts';
import { Network } from '../network/network.ts';
import { serveBlocks } from './block-fetch.ts';
import { Chain } from './chain.ts';
import { encodeFinal } from './final-record.ts';
import { decodeStates, encodeStates } from './snapshot-messages.ts';
import { SnapshotServer } from './snapshot-serve.ts';
import { syncFromSnapshot } from './snapshot-sync.ts';
import { verifyLedger } from './verify-ledger.ts';

const logger = pino({ level: process.env.TEST_LOG ?? 'silent' });
const closing: (() => Promise<void>)[] = [];
let network: SmallNetwork;
let whole: string;

before(async () => {
  network = await SmallNetwork.create(4, 4, 0);
  // The first block was long ago: whoever starts now may be far behind.
  network.genesis = { ...network.genesis, timestampMs: Date.now() - 3_600_000 };
  whole = join(network.folder, 'whole');
  const chain = await Chain.open(whole, network.genesis);
  const grower = new ChainGrower(network, chain);
  await grower.claim();
  await grower.grow(60, 40);
  await chain.close();
});
after(async () => {
  for (const close of closing.reverse()) await close();
  network.remove();
});

function openLinks(name: string, seeds: readonly string[] = []): Promise<Network> {
  return Network.open({
    chainId: chainId(),
    nodeSecret: sha256(utf8(name)),
    host: '127.0.0.1',
    port: 0,
    advertise: [],
    seeds,
    records: { load: () => [], save: () => undefined },
    logger,
  });
}
let knownChainId: Chain['rules']['chainId'] | undefined;
const chainId = (): Chain['rules']['chainId'] => knownChainId as Chain['rules']['chainId'];

let folders = 0;
/** A node that has the whole ledger and hands it over. */
async function server(name: string): Promise<{ chain: Chain; links: Network; snapshots: SnapshotServer }> {
  const folder = join(network.folder, `server-${folders++}`);
  cpSync(whole, folder, { recursive: true });
  const chain = await Chain.open(folder, network.genesis);
  knownChainId = chain.rules.chainId;
  const links = await openLinks(`${name} ${folders}`);
  serveBlocks(links, chain, () => undefined);
  const snapshots = new SnapshotServer(links, chain);
  closing.push(async () => {
    await links.close();
    await chain.close();
  });
  return { chain, links, snapshots };
}

/** A fresh node that has just met the others. */
async function follower(servers: readonly { links: Network }[]) {
  const folder = join(network.folder, `follower-${folders++}`);
  const chain = await Chain.open(folder, network.genesis);
  const links = await openLinks(
    `follower ${folders}`,
    servers.map((one) => one.links.address),
  );
  await until(() => links.peers().length === servers.length, 5_000, 'the links');
  let closed = false;
  const close = async (): Promise<void> => {
    if (closed) return;
    closed = true;
    await links.close();
    await chain.close();
  };
  closing.push(close);
  const sync = (behindMin = 50, signal = new AbortController().signal): Promise<boolean> =>
    syncFromSnapshot({ chain, network: links, logger, signal, behindMin, waitMs: 1_000 });
  return { folder, chain, links, close, sync };
}

test('a fresh node takes the state from several peers, and has nothing wrong', async () => {
  const servers = [await server('a'), await server('b'), await server('c')];
  const asked = new Map<number, number>();
  for (const [i, { links }] of servers.entries())
    links.admitBy((_, kind) => {
      if (kind === KIND.getChunk) asked.set(i, (asked.get(i) ?? 0) + 1);
      return undefined;
    });
  const fresh = await follower(servers);
  assert.equal(await fresh.sync(), true);
  const [{ chain }] = servers as [(typeof servers)[number]];
  assert.deepEqual(encodeFinal(fresh.chain.final), encodeFinal(chain.final));
  assert.deepEqual(
    accountOf(fresh.chain.state, accountNumber(77)),
    accountOf(chain.state, accountNumber(77)),
  );
  assert.equal(fresh.chain.store.prunedHeight, 61);
  assert.equal(asked.size, 3, 'all peers were asked');
  // There is nothing further ahead.
  assert.equal(await fresh.sync(), false);
  await fresh.close();
  const report = await verifyLedger({ dataFolder: fresh.folder, genesis: network.genesis });
  assert.deepEqual(report.findings, []);
  assert.equal(report.pruned, 61);
});

test('a peer that gives bad chunks is shunned, one that forges states too; the others do', async () => {
  const honest = await server('honest');
  const liar = await server('liar');
  const forger = await server('forger');
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
  assert.equal(await fresh.sync(), true);
  assert.equal(fresh.chain.final.id, honest.chain.final.id);
  const left = fresh.links.peers().map(({ nodeId }) => nodeId);
  assert.deepEqual(left, [honest.links.nodeId]);
  await fresh.close();
});

test('with only bad peers nothing changes, and the node goes on block by block', async () => {
  const liar = await server('only liar');
  liar.links.handle(KIND.getChunk, 1_000, () => utf8('no chunk at all'));
  const fresh = await follower([liar]);
  const { id } = fresh.chain.final;
  assert.equal(await fresh.sync(), false);
  assert.equal(fresh.chain.final.id, id);
  await fresh.close();
  assert.deepEqual((await verifyLedger({ dataFolder: fresh.folder, genesis: network.genesis })).findings, []);
});

test('the state that is handed over stays as it was while blocks are committed', async () => {
  const busy = await server('busy');
  const grower = new ChainGrower(network, busy.chain);
  const fresh = await follower([busy]);
  const { id } = busy.chain.final;
  let growing: Promise<void> | undefined;
  busy.links.admitBy((_, kind) => {
    if (kind === KIND.getChunk) growing ??= grower.grow(20, 20).then(() => busy.snapshots.committed());
    return undefined;
  });
  assert.equal(await fresh.sync(), true);
  assert.equal(fresh.chain.final.id, id);
  await growing;
  assert(busy.chain.final.height > fresh.chain.final.height);
  await fresh.close();
});

test('a node that is not far behind, or wants no snapshot, leaves it; one that is stopped changes nothing', async () => {
  const one = await server('one');
  const fresh = await follower([one]);
  assert.equal(await fresh.sync(62), false);
  assert.equal(await fresh.sync(0), false);
  const stopping = new AbortController();
  one.links.admitBy((_, kind) => {
    if (kind === KIND.getChunk) stopping.abort(new Error('stopped'));
    return undefined;
  });
  await assert.rejects(fresh.sync(50, stopping.signal));
  assert(stopping.signal.aborted);
  assert.equal(fresh.chain.final.height, 0);
  await fresh.close();
});

test('what is asked for badly is refused, and states come with the way to their committees', async () => {
  const one = await server('strict');
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

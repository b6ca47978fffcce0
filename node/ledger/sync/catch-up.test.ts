import assert from 'node:assert/strict';
import { cpSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { utf8 } from '../../../ledger/bytes.ts';
import { grains } from '../../../ledger/grains.ts';
import type { BlockId } from '../../../ledger/ids.ts';
import { accountOf } from '../../../ledger/state/draft.ts';
import { accountNumber, ChainGrower } from '../../../test/support/chain-grower.ts';
import { type Running, SmallNetwork } from '../../../test/support/small-network.ts';
import { until } from '../../../test/support/until.ts';
import { KIND } from '../../network/kinds.ts';
import { Chain } from '../chain/chain.ts';
import { verifyLedger } from '../maintenance/verify-ledger.ts';

/** Real nodes over real links: a committee with a long past, and nodes that were not there. */

const GROWN = 320;
let network: SmallNetwork;
const running = new Set<Running>();
let committee: readonly Running[];

async function start(index: number, snapshotBehind = 0): Promise<Running> {
  const node = await network.start(index, snapshotBehind);
  running.add(node);
  return node;
}
async function stop(node: Running): Promise<void> {
  running.delete(node);
  await node.stop();
}
const [first, second] = [0, 1].map((i) => () => committee[i] as Running) as [() => Running, () => Running];

/** A block that the committee makes now. */
async function payment(): Promise<void> {
  const { wallet, member } = first();
  await wallet.submit({
    kind: 'transfer',
    to: member.person.accountId,
    amountGrains: grains(3),
    memo: 'now',
  });
}

before(async () => {
  // Ports are drawn, so that two runs on one machine rarely meet.
  network = await SmallNetwork.create(7, 4, 12_000 + 10 * Math.floor(1_000 * Math.random()));
  network.genesis = { ...network.genesis, timestampMs: Date.now() - 3_600_000 };
  const grown = join(network.folder, 'grown');
  const chain = await Chain.open(grown, network.genesis);
  const grower = new ChainGrower(network, chain);
  await grower.claim();
  await grower.grow(GROWN, 3);
  await chain.close();
  for (const { folder } of network.members.slice(0, 4)) {
    mkdirSync(folder, { recursive: true });
    cpSync(join(grown, 'ledger'), join(folder, 'ledger'), { recursive: true });
  }
  committee = await Promise.all([0, 1, 2, 3].map((index) => start(index)));
});
after(async () => {
  await Promise.all([...running].map((node) => node.stop()));
  network.remove();
});

test('a fresh node executes the whole past, and a peer that gives bad blocks does not hold it up', async () => {
  const liar = second();
  let lied = 0;
  liar.network.handle(KIND.getBlocks, 10_000, () => {
    lied++;
    return utf8('no blocks at all');
  });
  const fresh = await start(4);
  await until(() => fresh.chain.final.height > GROWN, 60_000, 'the node to catch up');
  await payment();
  await until(() => fresh.chain.final.id === first().chain.final.id, 20_000, 'the newest block');
  assert(lied > 0, 'the liar was asked');
  assert(fresh.chain.blockBytes(fresh.chain.store.idAt(GROWN / 2) as BlockId) !== undefined);
  assert.equal(fresh.ledger.haltReason, undefined);
  await stop(fresh);
});

test('a fresh node takes a snapshot, then bodies, and follows the committee', async () => {
  const fresh = await start(5, 100);
  assert(fresh.chain.final.height > GROWN, 'the state was there before consensus began');
  const taken = fresh.chain.final.height;
  await payment();
  await payment();
  await until(() => fresh.chain.final.id === first().chain.final.id, 20_000, 'the newest block');
  const { chain } = fresh;
  assert(chain.final.height > taken);
  assert.equal(chain.blockBytes(chain.store.idAt(GROWN / 2) as BlockId), undefined);
  assert(chain.blockBytes(chain.final.id) !== undefined);
  assert.deepEqual(
    accountOf(chain.state, accountNumber(9)),
    accountOf(first().chain.state, accountNumber(9)),
  );
  const dataFolder = fresh.member.folder;
  await stop(fresh);
  // It goes on from there at the next start, without another snapshot.
  await payment();
  const again = await start(5, 100);
  await until(() => again.chain.final.id === first().chain.final.id, 20_000, 'what was missed meanwhile');
  assert.equal(again.chain.store.prunedHeight, taken);
  await stop(again);
  assert.deepEqual((await verifyLedger({ dataFolder, genesis: network.genesis })).findings, []);
});

test('a node that was stopped in the middle of catching up goes on', async () => {
  let fresh = await start(6);
  await until(() => fresh.chain.final.height >= 64, 60_000, 'a first stretch');
  await stop(fresh);
  fresh = await start(6);
  assert(fresh.chain.final.height >= 64);
  await until(() => fresh.chain.final.id === first().chain.final.id, 60_000, 'the rest');
  await stop(fresh);
});

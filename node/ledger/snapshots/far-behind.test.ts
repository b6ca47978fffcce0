import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { grains } from '../../../ledger/grains.ts';
import { accountOf } from '../../../ledger/state/draft.ts';
import { accountNumber } from '../../../test/support/chain-grower.ts';
import { type Running, SmallNetwork } from '../../../test/support/small-network.ts';
import { until } from '../../../test/support/until.ts';
import { KIND } from '../../network/kinds.ts';
import { verifyLedger } from '../maintenance/verify-ledger.ts';

/** Nodes that run while the rest of the network is out of reach, and find it far ahead when it is back. */

const GROWN = 300;
let network: SmallNetwork;
/** Members of the committee that are there all the time, and the three that go on without them. */
let committee: readonly Running[];
let member: Running;
let near: Running;
let far: Running;
let stubborn: Running;
let waiting: Promise<unknown>;
const seen = { leaps: 0, blocks: 0, whileLeaping: [] as unknown[] };

before(async () => {
  network = await SmallNetwork.create(7, 4, 0);
  network.beginEarlier();
  await network.grow([0, 1, 2, 3, 4, 5, 6], async (grower) => {
    await grower.claim(0);
    await grower.claim(4);
    await grower.grow(40);
  });
  // Behind which each fetches a snapshot: after 100 blocks, not so soon, never.
  [member, near, far, stubborn] = await Promise.all([
    network.start(3, 100),
    network.start(4, 100),
    network.start(5, 10_000),
    network.start(6, 0),
  ]);
  // A payment that the rest of the network takes while this node hears nothing of it.
  const { person } = near.member;
  waiting = near.wallet
    .submit({ kind: 'transfer', to: person.accountId, amountGrains: grains(1), memo: '' })
    .catch((error: unknown) => error);
  near.ledger.onLeap(() => seen.leaps++);
  near.ledger.onFinal((blocks) => {
    seen.blocks += blocks.length;
  });
  await network.grow([0, 1, 2], async (grower, chain) => {
    await grower.takeSeat(4);
    await grower.grow(GROWN);
    await chain.store.cutBodies(1, chain.final.height - 10);
  });
  committee = await Promise.all([0, 1, 2].map((index) => network.start(index)));
  for (const { network: links } of committee)
    links.admitBy((link, kind) => {
      if (kind !== KIND.getChunk || link.peer !== person.nodeId) return undefined;
      const { ledger, chain, wallet } = near;
      assert.equal(chain.store.idAt(chain.final.height + 1), undefined);
      assert.equal(chain.final.height, 42, 'what is final here until then');
      seen.whileLeaping.push(ledger.isLeaping, ledger.catchUpHeight);
      wallet
        .submit({ kind: 'transfer', to: person.accountId, amountGrains: grains(1), memo: '' })
        .catch((error: { code: string }) => seen.whileLeaping.push(error.code));
      return undefined;
    });
});
after(() => network.remove());

async function payment(from: Running): Promise<void> {
  const to = from.member.person.accountId;
  await from.wallet.submit({ kind: 'transfer', to, amountGrains: grains(1), memo: '' });
}
const ahead = (): Running => committee[0] as Running;
const caughtUp = (node: Running): Promise<void> =>
  until(() => node.chain.final.id === ahead().chain.final.id, 40_000, 'the newest block');

test('a running node that is far behind takes the state over, and goes on with the others', async () => {
  await caughtUp(near);
  await until(() => seen.leaps === 1, 5_000, 'consensus to begin anew');
  assert(seen.blocks < 100, `${seen.blocks} blocks were executed`);
  assert.deepEqual(
    accountOf(near.chain.state, accountNumber(9)),
    accountOf(ahead().chain.state, accountNumber(9)),
  );
  assert.equal(near.ledger.haltReason, undefined);
  assert.equal(near.ledger.catchUpHeight, undefined);
  await payment(near);
  await caughtUp(near);
});

test('while it does, what was final stays so, and nothing is signed over an old state', () => {
  const { height } = ahead().chain.final;
  const [leaping, target] = seen.whileLeaping;
  assert.equal(leaping, true);
  assert(Number(target) > GROWN && Number(target) <= height, String(target));
  assert(seen.whileLeaping.includes('not-synced'), String(seen.whileLeaping));
});

test('a payment that was waiting, and may have been taken meanwhile, is not sent again', async () => {
  const { nonce, balanceGrains } = accountOf(near.chain.state, near.member.person.accountId);
  assert.equal(((await waiting) as { code: string }).code, 'unknown-outcome');
  await payment(near);
  const later = accountOf(near.chain.state, near.member.person.accountId);
  assert.equal(later.nonce, nonce + 1, 'one transaction, the one that was asked for');
  assert(later.balanceGrains < balanceGrains);
});

test('a member of the committee that was away votes again', async () => {
  await caughtUp(member);
  await until(() => member.ledger.franchise === 'voting', 10_000, 'the word of the others');
  // Without it there is no quorum any more.
  await (committee[2] as Running).stop();
  await payment(near);
  await caughtUp(member);
});

test('bodies that no peer has any more are left out, however few; who wants no snapshot says that it is stuck', async () => {
  await caughtUp(far);
  assert.equal(stubborn.chain.final.height, 42);
  await until(() => stubborn.ledger.isStuck, 20_000, 'it to know that nobody has what it needs');
  assert.equal(far.ledger.isStuck, false);
  await stubborn.stop();
  const told = await network.start(6, 100);
  await caughtUp(told);
});

test('what they have is whole', async () => {
  for (const node of [near, far, member]) {
    await node.stop();
    const dataFolder = node.member.folder;
    assert.deepEqual((await verifyLedger({ dataFolder, genesis: network.genesis })).findings, []);
  }
});

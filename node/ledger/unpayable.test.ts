import assert from 'node:assert/strict';
import { test } from 'node:test';
import { grains } from '../../ledger/grains.ts';
import { accountOf } from '../../ledger/state/draft.ts';
import { encodeTransaction, signTransaction } from '../../ledger/transaction.ts';
import { type Person, person } from '../../test/support/ledger-world.ts';
import { type Running, SmallNetwork } from '../../test/support/small-network.ts';
import { until } from '../../test/support/until.ts';

test('transactions that became unpayable while they waited cost no honest node its links', async (t) => {
  const network = await SmallNetwork.create(3, 1, 39_730);
  t.after(() => network.remove());
  const member = await network.start(0);
  const follower = await network.start(1);
  await member.wallet.submit(await network.claim(0));
  const spenders = Array.from({ length: 6 }, (_, i) => person(`spender ${i}`));
  for (const { accountId } of spenders)
    await member.wallet.submit({
      kind: 'transfer',
      to: accountId,
      amountGrains: grains(1_000_000),
      memo: '',
    });
  await until(() => follower.chain.final.id === member.chain.final.id, 5_000, 'the follower');
  const { chainId } = member.chain.rules;
  const spend = ({ accountId, accountSecret }: Person, nonce: number, amount: bigint): void => {
    const body = {
      kind: 'transfer',
      to: member.member.person.accountId,
      amountGrains: grains(amount),
      memo: '',
    } as const;
    const unsigned = { chainId, sender: accountId, nonce, feeGrains: grains(1_000), body };
    follower.ledger.submit(encodeTransaction(signTransaction(unsigned, accountSecret)));
  };
  // Fifty-nine that wait for the first of each account, and then a first one that leaves nothing for them.
  for (const spender of spenders) for (let nonce = 1; nonce < 60; nonce++) spend(spender, nonce, 1n);
  const { height } = member.chain.final;
  for (const spender of spenders) spend(spender, 0, 999_000n);
  await until(() => member.chain.final.height > height, 5_000, 'the block');
  await until(() => follower.chain.final.id === member.chain.final.id, 5_000, 'the follower');
  // What nobody can pay for any more waits nowhere, so a newcomer is not greeted with it either.
  for (const node of [member, follower]) assert.equal(node.ledger.mempool.size, 0);
  const newcomer = await network.start(2);
  await until(() => newcomer.chain.final.id === member.chain.final.id, 10_000, 'the newcomer');
  assert.equal(newcomer.network.peers().length, 2);
});

test('a transaction that no block can take costs the committee a few views at most', async (t) => {
  const network = await SmallNetwork.create(5, 4, 39_740);
  t.after(() => network.remove());
  const nodes = await network.startAll();
  const [first, , , , follower] = nodes as [Running, Running, Running, Running, Running];
  await first.wallet.submit(await network.claim(0));
  await until(() => nodes.every((n) => n.chain.final.id === first.chain.final.id), 5_000, 'all');
  const { accountId, accountSecret } = first.member.person;
  const { chainId } = first.chain.rules;
  const { balanceGrains, nonce } = accountOf(first.chain.state, accountId);
  const body = {
    kind: 'transfer',
    to: accountId,
    amountGrains: grains(balanceGrains * 2n),
    memo: '',
  } as const;
  const unsigned = { chainId, sender: accountId, nonce, feeGrains: grains(1_000), body };
  const bytes = encodeTransaction(signTransaction(unsigned, accountSecret));
  const view = first.ledger.view;
  // Somebody who holds on to it, as a follower does for half an hour.
  follower.ledger.submit(bytes);
  await until(() => nodes.every((node) => node.ledger.mempool.size === 0), 45_000, 'every pool to drop it');
  assert(first.ledger.view - view < 4, `${first.ledger.view - view} views were given up`);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { LedgerError } from '../../ledger/errors.ts';
import { grains } from '../../ledger/grains.ts';
import { accountOf } from '../../ledger/state/draft.ts';
import { type Running, SmallNetwork } from '../../test/support/small-network.ts';
import { until } from '../../test/support/until.ts';

test('a committee of one: claim, transfer, restart; what was final stays final', async (t) => {
  const network = await SmallNetwork.create(1, 1, 39_500);
  t.after(() => network.remove());
  let node = await network.start(0);
  const { accountId } = node.member.person;
  await node.wallet.submit(await network.claim(0));
  await assert.rejects(
    node.wallet.submit(await network.claim(0)),
    (e) => e instanceof LedgerError && e.code === 'already-claimed',
  );
  const other = network.members[0]?.person.accountId as typeof accountId;
  const sent = await node.wallet.submit({
    kind: 'transfer',
    to: other,
    amountGrains: grains(5),
    memo: 'to myself',
  });
  assert.equal(sent.height, 2);
  const balance = accountOf(node.chain.state, accountId).balanceGrains;
  await node.stop();
  node = await network.start(0);
  assert.equal(node.chain.final.height, 2);
  assert.equal(accountOf(node.chain.state, accountId).balanceGrains, balance);
  await node.wallet.submit({ kind: 'transfer', to: other, amountGrains: grains(5), memo: '' });
  assert.equal(node.chain.final.height, 3);
  await node.stop();
});

test('a committee of four and a follower: final everywhere, with one member gone, and after it is back', async (t) => {
  const network = await SmallNetwork.create(5, 4, 39_510);
  t.after(() => network.remove());
  const nodes = await network.startAll();
  const [first, , , last, follower] = nodes as [Running, Running, Running, Running, Running];
  await Promise.all(nodes.map(async (node, i) => node.wallet.submit(await network.claim(i))));
  await until(
    () => nodes.every((node) => node.chain.final.id === first.chain.final.id),
    10_000,
    'the same final block everywhere',
  );
  await last.stop();
  const to = first.member.person.accountId;
  const transfer = () => follower.wallet.submit({ kind: 'transfer', to, amountGrains: grains(7), memo: '' });
  const sent = await Promise.all(Array.from({ length: 30 }, transfer));
  assert.equal(new Set(sent.map(({ transactionId }) => transactionId)).size, 30);
  const back = await network.start(3);
  await until(
    () => back.chain.final.id === first.chain.final.id,
    15_000,
    'the member that was away to catch up',
  );
  await transfer();
  await until(
    () => [first, back].every((node) => node.chain.final.id === follower.chain.final.id),
    10_000,
    'the block to be final everywhere',
  );
  const heights = first.chain.final.height;
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  assert.equal(first.chain.final.height, heights, 'an idle ledger makes no blocks');
});

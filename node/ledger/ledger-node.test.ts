import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { LedgerError } from '../../ledger/errors.ts';
import { grains } from '../../ledger/grains.ts';
import { accountOf } from '../../ledger/state/draft.ts';
import { type Running, SmallNetwork } from '../../test/support/small-network.ts';
import { until } from '../../test/support/until.ts';

const networks: SmallNetwork[] = [];
const running = new Set<Running>();
after(async () => {
  await Promise.all([...running].map((node) => node.stop()));
  for (const network of networks) network.remove();
});

async function create(count: number, seats: number, port: number): Promise<SmallNetwork> {
  const network = await SmallNetwork.create(count, seats, port);
  networks.push(network);
  return network;
}
async function start(network: SmallNetwork, index: number): Promise<Running> {
  const node = await network.start(index);
  running.add(node);
  return node;
}
async function stop(node: Running): Promise<void> {
  running.delete(node);
  await node.stop();
}

test('a committee of one: claim, transfer, restart; what was final stays final', async () => {
  const network = await create(1, 1, 39_500);
  let node = await start(network, 0);
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
  await stop(node);
  node = await start(network, 0);
  assert.equal(node.chain.final.height, 2);
  assert.equal(accountOf(node.chain.state, accountId).balanceGrains, balance);
  await node.wallet.submit({ kind: 'transfer', to: other, amountGrains: grains(5), memo: '' });
  assert.equal(node.chain.final.height, 3);
  await stop(node);
});

test('a committee of four and a follower: final everywhere, with one member gone, and after it is back', async () => {
  const network = await create(5, 4, 39_510);
  const nodes = await Promise.all([0, 1, 2, 3, 4].map((i) => start(network, i)));
  const [first, , , last, follower] = nodes as [Running, Running, Running, Running, Running];
  await Promise.all(nodes.map(async (node, i) => node.wallet.submit(await network.claim(i))));
  await until(
    () => nodes.every((node) => node.chain.final.id === first.chain.final.id),
    10_000,
    'the same final block everywhere',
  );
  await stop(last);
  const to = first.member.person.accountId;
  const transfer = () => follower.wallet.submit({ kind: 'transfer', to, amountGrains: grains(7), memo: '' });
  const sent = await Promise.all(Array.from({ length: 30 }, transfer));
  assert.equal(new Set(sent.map(({ transactionId }) => transactionId)).size, 30);
  const back = await start(network, 3);
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

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type BlockHeader, blockIdOf, txRootOf } from '../../../ledger/block.ts';
import type { Hash } from '../../../ledger/ids.ts';
import { type Running, SmallNetwork } from '../../../test/support/small-network.ts';
import { until } from '../../../test/support/until.ts';
import { KIND } from '../../network/kinds.ts';

let network: SmallNetwork | undefined;
const running: Running[] = [];
after(async () => {
  await Promise.all(running.map((node) => node.stop()));
  network?.remove();
});

test('proposals that no leader signed take no room from real ones', async () => {
  network = await SmallNetwork.create(5, 4, 39_770);
  for (const i of [0, 1, 2, 3, 4]) running.push(await network.start(i));
  const [member, , , , stranger] = running as [Running, Running, Running, Running, Running];
  const memberId = member.member.person.nodeId;
  await until(() => stranger.network.connected(memberId), 5_000, 'a link');
  const genesis = member.chain.header(member.chain.final.id) as BlockHeader;
  let last = genesis;
  for (let n = 0; n < 1_100; n++) {
    last = {
      ...genesis,
      height: 1,
      view: 1,
      parentId: member.chain.final.id,
      timestampMs: genesis.timestampMs + n + 1,
      txRoot: txRootOf([]) as Hash,
    };
    const position = { view: 1, parentView: 0, height: 1, blockId: blockIdOf(last) };
    const message = {
      kind: 'proposal',
      epoch: 0,
      position,
      header: last,
      transactionIds: [],
      parentCertificate: undefined,
      nullifications: [],
      signature: new Uint8Array(64).fill(3),
    } as const;
    // As many strangers would, each once: the first forgery costs a link, the room is gone all the same.
    member.ledger.receive(stranger.member.person.nodeId, message);
  }
  // Blocks of real proposals are put together from the pool: nobody is asked for them.
  let asked = 0;
  const request = member.network.request.bind(member.network);
  member.network.request = (peer, kind, body, options) => {
    if (kind === KIND.getBlocks || kind === KIND.getHeaders) asked++;
    return request(peer, kind, body, options);
  };
  await member.wallet.submit(await network.claim(0));
  for (let n = 0; n < 8; n++)
    await member.wallet.submit({
      kind: 'transfer',
      to: member.member.person.accountId,
      amountGrains: 1n as never,
      memo: '',
    });
  assert.equal(asked, 0, `${asked} requests for blocks whose transactions are all here`);
});

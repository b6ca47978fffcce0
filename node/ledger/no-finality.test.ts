import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { blockIdOf } from '../../ledger/block.ts';
import { Committee } from '../../ledger/consensus/committee.ts';
import type { Certificate, Position, VoteType } from '../../ledger/consensus/votes.ts';
import { sign } from '../../ledger/crypto/secp256k1.ts';
import { grains } from '../../ledger/grains.ts';
import { encodeTransaction, signTransaction } from '../../ledger/transaction.ts';
import { type Running, SmallNetwork } from '../../test/support/small-network.ts';
import { until } from '../../test/support/until.ts';
import { Chain } from './chain/chain.ts';

let network: SmallNetwork | undefined;
let running: Running | undefined;
let other: Chain | undefined;
after(async () => {
  await running?.stop();
  await other?.close();
  network?.remove();
});

test('a long time without finality, with proposals in every view, stops no node', async () => {
  network = await SmallNetwork.create(4, 4, 39_760);
  const { members, genesis } = network;
  const node = await network.start(0);
  running = node;
  other = await Chain.open(members[1]?.folder as string, genesis);
  const { chainId } = node.chain.rules;
  const committee = new Committee(chainId, 0, genesis.committee);
  const person = node.member.person;
  const transaction = signTransaction(
    {
      chainId,
      sender: person.accountId,
      nonce: 0,
      feeGrains: grains(10_000_000),
      body: await network.claim(0),
    },
    person.accountSecret,
  );
  const bytes = encodeTransaction(transaction);
  node.ledger.submit(bytes);
  const [pooled] = [...node.ledger.mempool.all()];
  assert(pooled);
  const certificate = (type: VoteType, view: number, position: Position | undefined): Certificate => {
    const votes = new Map<number, Uint8Array>();
    for (const { person: who } of members.slice(1, 4))
      votes.set(
        committee.indexOf(who.nodeId) as number,
        sign(committee.digest(type, view, position), who.nodeSecret),
      );
    return committee.certificate(type, view, position, votes);
  };
  const from = members[1]?.person.nodeId as typeof person.nodeId;
  let executed = 0;
  node.ledger.onBlock(() => executed++);
  for (let view = 1; view <= 400 && node.ledger.haltReason === undefined; view++) {
    const leader = members.find(({ person: who }) => who.nodeId === committee.leader(view))?.person;
    if (leader !== undefined && leader.nodeId !== person.nodeId) {
      const block = await other
        .build(
          { parentId: other.final.id, epoch: 0, view, proposer: leader.nodeId, nowMs: Date.now() },
          [pooled],
          (_, error) => assert.fail(error.message),
        )
        .catch(() => undefined);
      if (block === undefined) {
        await other.close();
        other = await Chain.open(members[1]?.folder as string, genesis);
        view--;
        continue;
      }
      const { header } = block;
      const position: Position = { view, parentView: 0, height: 1, blockId: blockIdOf(header) };
      node.ledger.receive(from, {
        kind: 'proposal',
        epoch: 0,
        position,
        header,
        transactionIds: [pooled.id],
        parentCertificate: undefined,
        nullifications: [],
        signature: sign(committee.digest('notarize', view, position), leader.nodeSecret),
      });
      const before = executed;
      await until(() => executed > before || node.ledger.haltReason !== undefined, 5_000, `view ${view}`);
    }
    // Its proposal comes too late for the others: the view is given up.
    node.ledger.receive(from, { kind: 'certificate', certificate: certificate('nullify', view, undefined) });
    await until(
      () => node.ledger.view > view || node.ledger.haltReason !== undefined,
      5_000,
      `after ${view}`,
    );
  }
  assert.equal(node.ledger.haltReason, undefined, `after ${executed} blocks`);
});

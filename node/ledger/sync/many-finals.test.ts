import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { Certificate } from '../../../ledger/consensus/votes.ts';
import { ChainGrower } from '../../../test/support/chain-grower.ts';
import { type Running, SmallNetwork } from '../../../test/support/small-network.ts';
import { until } from '../../../test/support/until.ts';
import { Chain } from '../chain/chain.ts';

let network: SmallNetwork | undefined;
const running: Running[] = [];
after(async () => {
  await Promise.all(running.map((node) => node.stop()));
  network?.remove();
});

test('who catches up hears of several final blocks on the way and takes each', async () => {
  network = await SmallNetwork.create(2, 1, 39_720);
  const chain = await Chain.open(network.members[0]?.folder as string, network.genesis);
  const grower = new ChainGrower(network, chain);
  await grower.claim();
  const certificates: Certificate[] = [];
  const note = (): void => {
    const { certificate } = chain.final;
    assert(certificate);
    certificates.push(certificate);
  };
  for (let n = 0; n < 20; n++) {
    await grower.grow(10, 1);
    note();
  }
  await chain.close();
  running.push(await network.start(0), await network.start(1));
  const [ahead, behind] = running as [Running, Running];
  // Every tenth block's: as statuses of peers that are not equally far.
  for (const certificate of certificates)
    behind.ledger.receive(ahead.member.person.nodeId, { kind: 'certificate', certificate });
  await until(
    () => behind.chain.final.height === ahead.chain.final.height || behind.ledger.haltReason !== undefined,
    20_000,
    'the follower to catch up',
  );
  assert.equal(behind.ledger.haltReason, undefined);
});

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Committee } from '../../../ledger/consensus/committee.ts';
import { sign } from '../../../ledger/crypto/secp256k1.ts';
import { grains } from '../../../ledger/grains.ts';
import { type Running, SmallNetwork } from '../../../test/support/small-network.ts';
import { until } from '../../../test/support/until.ts';

let network: SmallNetwork | undefined;
let node: Running | undefined;
after(async () => {
  await node?.stop();
  network?.remove();
});

test('a block that was proposed again and is final by two views is final once, and the node goes on', async () => {
  network = await SmallNetwork.create(1, 1, 39_600);
  node = await network.start(0);
  const { chain, ledger, wallet, member } = node;
  await wallet.submit(await network.claim(0));
  const { id, height, view: parentView } = chain.final;
  const committee = new Committee(chain.rules.chainId, chain.epoch, chain.seats);
  const view = ledger.view + 1;
  const position = { view, parentView, height, blockId: id };
  const signature = sign(committee.digest('finalize', view, position), member.person.nodeSecret);
  const certificate = committee.certificate('finalize', view, position, new Map([[0, signature]]));
  ledger.receive(member.person.nodeId, { kind: 'certificate', certificate });
  await until(
    () => ledger.view > view || ledger.haltReason !== undefined,
    5_000,
    'the certificate to be taken up',
  );
  assert.equal(ledger.haltReason, undefined);
  assert.equal(chain.final.id, id);
  const to = member.person.accountId;
  const sent = await wallet.submit({ kind: 'transfer', to, amountGrains: grains(1), memo: '' });
  assert.equal(sent.height, height + 1);
});

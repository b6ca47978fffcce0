import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Committee } from '../../ledger/consensus/committee.ts';
import type { Vote } from '../../ledger/consensus/votes.ts';
import { sign } from '../../ledger/crypto/secp256k1.ts';
import { LedgerError } from '../../ledger/errors.ts';
import { grains } from '../../ledger/grains.ts';
import type { AccountId, BlockId, EkId } from '../../ledger/ids.ts';
import {
  type LightProofJson,
  lightProofFromJson,
  lightProofToJson,
  verifyLightProof,
} from '../../ledger/light-proof.ts';
import { accountOf } from '../../ledger/state/draft.ts';
import { ACCOUNTS, TOMBSTONES } from '../../ledger/state/entities.ts';
import { type Running, SmallNetwork } from '../../test/support/small-network.ts';
import { until } from '../../test/support/until.ts';
import { proveRow } from './chain/light-proofs.ts';

const EPOCH_MS = 1_500;

async function ekIdOf(node: Running): Promise<EkId> {
  return (await node.member.tpm.ek()).ekId;
}
async function claimAndSit(network: SmallNetwork, nodes: readonly Running[]): Promise<void> {
  await Promise.all(
    nodes.map(async (node, i) => {
      await node.wallet.submit(await network.claim(i));
      await node.wallet.submit({ kind: 'seat', ekId: await ekIdOf(node), action: 'enter' });
    }),
  );
}
async function transfer(node: Running): Promise<void> {
  const to = node.member.person.accountId;
  await node.wallet.submit({ kind: 'transfer', to, amountGrains: grains(1), memo: '' });
}

test('seats become the committee; who slept through epochs catches up; proofs lead from genesis to now', async (t) => {
  const network = await SmallNetwork.create(7, 4, 39_600, 10_000, {
    epochMs: EPOCH_MS,
    seatLifetimeMs: 60_000,
  });
  t.after(() => network.remove());
  const nodes = await network.startAll();
  const [first, , , , , , sleeper] = nodes as [Running, Running, Running, Running, Running, Running, Running];
  await claimAndSit(network, nodes);
  await sleeper.stop();
  await until(
    async () => {
      await transfer(first);
      return first.ledger.epoch >= 1 && first.chain.seats.length === 7;
    },
    30_000,
    'an epoch with seven seats',
  );
  for (let i = 0; i < 5; i++) await transfer(first);
  assert.equal(first.ledger.quorum, 5);

  const back = await network.start(6);
  await until(() => back.chain.final.id === first.chain.final.id, 20_000, 'the sleeper to catch up');
  assert.equal(back.ledger.epoch, first.ledger.epoch);
  await until(() => back.ledger.franchise === 'voting', 10_000, 'the sleeper to vote in its new committee');

  const { accountId } = first.member.person;
  const { chainId } = first.chain.rules;
  const genesis = new Committee(chainId, 0, network.genesis.committee);
  const json = lightProofToJson(await proveRow(back.chain, ACCOUNTS, accountId, 0));
  const proof = lightProofFromJson(JSON.parse(JSON.stringify(json)));
  assert(proof.boundaries.length >= 1);
  // It comes from a node that is not trusted: parts may be missing, or be anything.
  for (const name of ['boundaries', 'header', 'certificate', 'row', 'path'])
    for (const value of [undefined, 7, {}, { siblings: [7], other: null }])
      assert.throws(
        () => lightProofFromJson({ ...json, [name]: value }),
        (error) => error instanceof LedgerError && error.code === 'malformed',
        `${name}: ${JSON.stringify(value)}`,
      );
  for (const value of [null, undefined, 7])
    assert.throws(
      () => lightProofFromJson(value as unknown as LightProofJson),
      (error) => error instanceof LedgerError && error.code === 'malformed',
    );
  const proven = verifyLightProof(chainId, genesis, ACCOUNTS, accountId, proof);
  assert.deepEqual(proven.row, accountOf(back.chain.state, accountId));
  const nobody = `02${'11'.repeat(32)}` as AccountId;
  const absence = lightProofToJson(await proveRow(back.chain, ACCOUNTS, nobody, 0));
  assert.equal(
    verifyLightProof(chainId, genesis, ACCOUNTS, nobody, lightProofFromJson(absence)).row,
    undefined,
  );
  for (const [name, lie] of [
    [
      'another row',
      { ...proof, row: (await proveRow(back.chain, ACCOUNTS, back.member.person.accountId, 0)).row },
    ],
    ['no row', { ...proof, row: undefined }],
    ['no boundaries', { ...proof, boundaries: [] }],
    ['another state root', { ...proof, header: { ...proof.header, stateRoot: proof.header.txRoot } }],
    [
      'fewer signatures',
      { ...proof, certificate: { ...proof.certificate, signatures: proof.certificate.signatures.slice(1) } },
    ],
  ] as const)
    assert.throws(
      () => verifyLightProof(chainId, genesis, ACCOUNTS, accountId, lie),
      (error) => error instanceof LedgerError && /^bad-/.test(error.code),
      name,
    );
});

test('a member that signs twice is seen, convicted and out of the committee, and the others go on', async (t) => {
  const network = await SmallNetwork.create(5, 4, 39_620, 10_000, {
    epochMs: 3_600_000,
    seatLifetimeMs: 3_600_000,
  });
  t.after(() => network.remove());
  const nodes = await network.startAll();
  const [first, culprit] = nodes as [Running, Running];
  await claimAndSit(network, nodes);
  const accused: [Vote, Vote][] = [];
  first.ledger.onEvidence((a, b) => accused.push([a, b]));
  const committee = new Committee(first.chain.rules.chainId, 0, first.chain.seats);
  const { nodeId, nodeSecret } = culprit.member.person;
  const forge = (view: number, block: string): Vote => {
    const position = { view, parentView: view - 1, height: 100, blockId: block.repeat(32) as BlockId };
    const signature = sign(committee.digest('notarize', view, position), nodeSecret);
    return { type: 'notarize', epoch: 0, view, position, signer: nodeId, signature };
  };
  await until(
    () => {
      const view = first.ledger.view + 2;
      for (const block of ['aa', 'bb'])
        first.ledger.receive(nodeId, { kind: 'vote', vote: forge(view, block) });
      return accused.length > 0;
    },
    10_000,
    'evidence',
  );
  const [votes] = accused as [[Vote, Vote]];
  await first.wallet.submit({ kind: 'misconduct', first: votes[0], second: votes[1] });
  await until(() => nodes.every((node) => node.ledger.epoch === 1), 10_000, 'the next epoch everywhere');
  assert.notEqual(first.chain.state.read(TOMBSTONES, await ekIdOf(culprit)), undefined);
  assert.equal(culprit.ledger.isMember, false);
  assert.equal(first.chain.seats.length, 4);
  await transfer(first);
});

test('a member whose vote log is lost votes no more in the epoch', async (t) => {
  const network = await SmallNetwork.create(4, 4, 39_640, 10_000, {
    epochMs: EPOCH_MS,
    seatLifetimeMs: 60_000,
  });
  t.after(() => network.remove());
  const nodes = await network.startAll();
  const [first, , , unlucky] = nodes as [Running, Running, Running, Running];
  await first.wallet.submit(await network.claim(0));
  await unlucky.stop();
  rmSync(join(unlucky.member.folder, 'consensus.log'));
  const back = await network.start(3);
  await transfer(first);
  await until(() => back.chain.final.id === first.chain.final.id, 10_000, 'it to follow');
  assert.equal(back.ledger.franchise, 'abstaining');
  await back.stop();
  const again = await network.start(3);
  assert.equal(again.ledger.franchise, 'abstaining', 'a restart does not make it forget');
});

import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { encodeMessage } from '../../../ledger/consensus/messages.ts';
import type { LedgerErrorCode } from '../../../ledger/errors.ts';
import { grains } from '../../../ledger/grains.ts';
import type { BlockId, NodeId } from '../../../ledger/ids.ts';
import { encodeTransaction, signTransaction } from '../../../ledger/transaction.ts';
import { type Running, SmallNetwork } from '../../../test/support/small-network.ts';
import { until } from '../../../test/support/until.ts';
import { KIND } from '../../network/kinds.ts';
import { Conduct } from './conduct.ts';

const PEER = `02${'ab'.repeat(32)}` as NodeId;

function shunnedAfter(codes: readonly LedgerErrorCode[], everyMs: number): number | undefined {
  let at: number | undefined;
  let n = 0;
  const conduct = new Conduct(() => {
    at ??= n;
  });
  for (const code of codes) conduct.refused(PEER, code, n++ * everyMs);
  return at;
}

test('what no honest node sends ends the connection at once; a little bad luck does not', () => {
  assert.equal(shunnedAfter(['bad-nonce', 'fee-too-low', 'bad-signature'], 1), 3, 'the third');
  assert.equal(shunnedAfter(Array(2_000).fill('insufficient-balance'), 1), undefined);
  assert.equal(shunnedAfter(Array(10_000).fill('bad-nonce'), 0), undefined);
});

test('who sends much that cannot be paid is not listened to for a while, and keeps its link: honest nodes relay such', () => {
  const heardAfter = (count: number, everyMs: number): boolean => {
    const conduct = new Conduct(() => assert.fail('shunned'));
    for (let n = 0; n < count; n++) conduct.refused(PEER, 'insufficient-balance', n * everyMs);
    return conduct.hears(PEER, count * everyMs);
  };
  assert.equal(heardAfter(100, 1), true);
  assert.equal(heardAfter(400, 1), false);
  assert.equal(heardAfter(2_000, 500), true);
  // Late copies of what became final meanwhile: honest nodes relay thousands a second, nobody twenty thousand.
  const heardAfterLate = (perSecond: number): boolean => {
    const late = new Conduct(() => assert.fail('shunned'));
    for (let n = 0; n < 10 * perSecond; n++) late.refused(PEER, 'bad-nonce', (n * 1_000) / perSecond);
    return late.hears(PEER, 10_000);
  };
  assert.equal(heardAfterLate(4_000), true);
  assert.equal(heardAfterLate(20_000), false);
  const conduct = new Conduct(() => assert.fail('shunned'));
  for (let n = 0; n < 10_000; n++) conduct.refused(PEER, 'insufficient-balance', 0);
  assert.equal(conduct.hears(PEER, 4_000), false);
  assert.equal(conduct.hears(PEER, 6_000), true);
});

test('a flood of consensus messages takes no time of the others, and in the end the link', () => {
  let shunned = 0;
  const conduct = new Conduct(() => shunned++);
  const [link, votes] = [{}, {}];
  let nowMs = 0;
  // A follower says where it stands and asks for certificates; a member of a large committee votes and proposes.
  for (let second = 0; second < 100; second++) {
    for (let i = 0; i < 4; i++) assert(conduct.takes(PEER, link, false, 9_000, nowMs));
    for (let i = 0; i < 300; i++) assert(conduct.takes(PEER, votes, true, i < 20 ? 64_000 : 200, nowMs));
    nowMs += 1_000;
  }
  const takenOf = (count: number, isMember: boolean): number => {
    let taken = 0;
    for (let i = 0; i < count; i++) if (conduct.takes(PEER, {}, isMember, 200, nowMs)) taken++;
    const same = {};
    let ofOne = 0;
    for (let i = 0; i < count; i++) if (conduct.takes(PEER, same, isMember, 200, nowMs + i / 20)) ofOne++;
    assert.equal(taken, count, 'each link has a share of its own');
    return ofOne;
  };
  // Twenty thousand a second.
  assert(takenOf(20_000, false) < 500);
  assert(takenOf(20_000, true) < 11_000);
  assert.equal(shunned, 0);
  for (let i = 0; i < 101_000; i++) conduct.takes(PEER, link, false, 200, nowMs);
  assert.equal(shunned, 1);
  // Somewhat later it is listened to again.
  assert(conduct.takes(PEER, link, false, 200, nowMs + 1_000));
});

let network: SmallNetwork | undefined;
const running: Running[] = [];
after(async () => {
  await Promise.all(running.map((node) => node.stop()));
  network?.remove();
});

test('forgeries cost their sender the connection, and spam of any kind costs the others nothing', async () => {
  network = await SmallNetwork.create(6, 1, 39_660);
  for (const i of [0, 1, 2, 3, 4, 5]) running.push(await network.start(i));
  const [member, honest, ...spammers] = running as [Running, Running, ...Running[]];
  await member.wallet.submit(await network.claim(0));
  const memberId = member.member.person.nodeId;
  const linked = (node: Running): boolean => member.network.connected(node.member.person.nodeId);
  await until(() => running.slice(1).every(linked), 10_000, 'all links');
  const [forger, pauper, liar, miser] = spammers as [Running, Running, Running, Running];

  const { chainId } = member.chain.rules;
  const transaction = (
    from: Running,
    nonce: number,
    secret = from.member.person.accountSecret,
    fee = 1_000,
  ): Uint8Array =>
    encodeTransaction(
      signTransaction(
        {
          chainId,
          sender: from.member.person.accountId,
          nonce,
          feeGrains: grains(fee),
          body: { kind: 'transfer', to: member.member.person.accountId, amountGrains: grains(1), memo: '' },
        },
        secret,
      ),
    );
  forger.network.notify(
    memberId,
    KIND.transaction,
    transaction(forger, 0, honest.member.person.accountSecret),
  );
  await until(() => !linked(forger), 5_000, 'the forger to lose its link');

  // Below the floor of the chain, and behind a nonce that never comes: it costs nothing to make.
  miser.network.notify(memberId, KIND.transaction, transaction(miser, 1, undefined, 0));
  await until(() => !linked(miser), 5_000, 'the miser to lose its link');

  for (let n = 0; n < 1_000; n++)
    pauper.network.notify(memberId, KIND.transaction, transaction(pauper, n % 64));

  const position = {
    view: member.ledger.view,
    parentView: 0,
    height: 9,
    blockId: 'cd'.repeat(32) as BlockId,
  };
  const vote = {
    type: 'notarize',
    epoch: 0,
    view: position.view,
    position,
    signer: member.chain.seats[0]?.nodeId as NodeId,
    signature: new Uint8Array(64).fill(7),
  } as const;
  const certificate = {
    type: 'finalize',
    epoch: 0,
    view: position.view,
    position,
    bitmap: Uint8Array.of(0x80),
    signatures: [vote.signature],
  } as const;
  liar.network.notify(memberId, KIND.consensus, encodeMessage({ kind: 'certificate', certificate }));
  await until(() => !linked(liar), 5_000, 'the liar to lose its link');

  assert(linked(honest));
  await member.wallet.submit({
    kind: 'transfer',
    to: honest.member.person.accountId,
    amountGrains: grains(1),
    memo: '',
  });
  assert.equal(member.ledger.mempool.size, 0);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LedgerWorld, type Person } from '../../test/support/ledger-world.ts';
import { Committee } from '../consensus/committee.ts';
import type { Position, Vote, VoteType } from '../consensus/votes.ts';
import { sign } from '../crypto/secp256k1.ts';
import type { BlockId } from '../ids.ts';
import type { TransactionBody } from '../transaction.ts';
import { StateDraft } from './draft.ts';
import { NODES, SEATS, TOMBSTONES, TPMS } from './entities.ts';
import { committeeOf, epochOf } from './epoch-turn.ts';
import { poolSize } from './seat.ts';

const HOUR = 3_600_000;
const NAMES = Array.from({ length: 9 }, (_, i) => `person ${i}`);
const enter = (who: Person): [Person, TransactionBody] => [
  who,
  { kind: 'seat', ekId: who.ekId, action: 'enter' },
];
const leave = (who: Person): [Person, TransactionBody] => [
  who,
  { kind: 'seat', ekId: who.ekId, action: 'leave' },
];

function world(seats = 4, parameters = {}): LedgerWorld {
  return new LedgerWorld(
    NAMES,
    1_000_000_000_000n,
    10_000,
    { epochMs: HOUR, seatLifetimeMs: 2 * HOUR, ...parameters },
    seats,
  );
}

function signedVote(
  at: LedgerWorld,
  who: Person,
  type: VoteType,
  view: number,
  block?: string,
  epoch = 0,
): Vote {
  const committee = new Committee(at.rules.chainId, epoch, committeeOf(at.state, epoch));
  const position: Position | undefined =
    block === undefined
      ? undefined
      : { view, parentView: 0, height: view, blockId: block.repeat(32) as BlockId };
  const signature = sign(committee.digest(type, view, position), who.nodeSecret);
  return { type, epoch, view, position, signer: who.nodeId, signature };
}

test('the committee changes when its time is over, to seats of the pool, 3f + 1 of them', () => {
  const at = world();
  assert.deepEqual(
    at.block(at.people.map(enter)).refused.filter((error) => error !== undefined),
    [],
  );
  assert.equal(poolSize(at.state), 9);
  assert.equal(at.block([], HOUR / 2).nextCommittee, undefined);
  const { nextCommittee, events } = at.block([], HOUR / 2);
  assert.equal(nextCommittee?.length, 7);
  assert.equal(epochOf(at.state).epoch, 1);
  assert.deepEqual(committeeOf(at.state), nextCommittee);
  assert(events.some(({ event }) => event.kind === 'epoch' && event.epoch === 1));
  assert.equal(at.imbalance(), 0n);
});

test('seats that were not renewed leave the pool and the committee; too few fresh ones never shrink it below four', () => {
  const at = world();
  at.block(at.people.map(enter));
  at.block([], HOUR);
  const seated = committeeOf(at.state);
  at.block(at.people.slice(0, 5).map(enter), HOUR);
  at.block([], 1.5 * HOUR);
  const renewed = new Set(at.people.slice(0, 5).map((who) => who.nodeId));
  assert.equal(committeeOf(at.state).length, 4);
  assert(committeeOf(at.state).every((seat) => renewed.has(seat.nodeId)));
  assert(seated.length > 4);
  const before = committeeOf(at.state);
  at.block([], 10 * HOUR);
  assert.deepEqual(committeeOf(at.state), before, 'nobody renewed: who sits stays');
  assert.equal(poolSize(at.state), 0);
});

test('a bond is locked at entry, kept while it could be needed as a penalty, and returned after that', () => {
  const at = world();
  const [, , , , fifth] = at.people as [Person, Person, Person, Person, Person];
  const before = at.balance(fifth);
  at.block([enter(fifth)]);
  const { bondGrains } = at.state.read(SEATS, fifth.ekId) ?? { bondGrains: 0n };
  assert(bondGrains > 0n && at.balance(fifth) < before - bondGrains + 1_000n);
  at.block([enter(fifth)]);
  assert.equal(poolSize(at.state), 1, 'a renewal locks nothing and takes no second place');
  const [tooSoon] = at.block([leave(fifth), leave(fifth)]).refused.slice(1);
  assert.equal(tooSoon?.code, 'seat-bound');
  assert.equal(poolSize(at.state), 0);
  assert.deepEqual(at.block([leave(fifth)], 2 * HOUR).refused, [undefined]);
  assert(at.balance(fifth) > before - 10_000n);
  assert.equal(at.block([leave(fifth)]).refused[0]?.code, 'seat-unknown');
  assert.equal(at.imbalance(), 0n);
});

test('strangers take no seat for others', () => {
  const at = world();
  const [a, b] = at.people as [Person, Person];
  assert.equal(
    at.block([[a, { kind: 'seat', ekId: b.ekId, action: 'enter' }]]).refused[0]?.code,
    'not-owner',
  );
  const nobody = 'ab'.repeat(32) as typeof a.ekId;
  assert.equal(
    at.block([[a, { kind: 'seat', ekId: nobody, action: 'enter' }]]).refused[0]?.code,
    'tpm-unknown',
  );
});

test('contradicting votes: the TPM is out for good, its bond burned, the committee replaced in the same block, once', () => {
  const at = world();
  at.block(at.people.map(enter));
  const [culprit, accuser] = at.people as [Person, Person];
  const evidence: TransactionBody = {
    kind: 'misconduct',
    first: signedVote(at, culprit, 'notarize', 5, 'aa'),
    second: signedVote(at, culprit, 'notarize', 5, 'bb'),
  };
  const burned = at.block([[accuser, evidence]]);
  assert.deepEqual(burned.refused, [undefined]);
  assert(burned.nextCommittee?.every((seat) => seat.nodeId !== culprit.nodeId));
  assert.equal(burned.nextCommittee?.length, 7);
  assert.notEqual(at.state.read(TOMBSTONES, culprit.ekId), undefined);
  assert.equal(at.state.read(SEATS, culprit.ekId), undefined);
  assert.equal(at.imbalance(), 0n);
  assert.equal(at.block([[accuser, evidence]]).refused[0]?.code, 'tpm-tombstoned');
  assert.equal(at.block([enter(culprit)]).refused[0]?.code, 'tpm-tombstoned');
  assert.equal(at.state.read(NODES, culprit.nodeId)?.storageOffer, undefined);
});

test('what is no contradiction, or not signed by a member, convicts nobody', () => {
  const at = world();
  const [member, accuser, , , outsider] = at.people as [Person, Person, Person, Person, Person];
  const cases: [string, Vote, Vote][] = [
    [
      'notarize and nullify',
      signedVote(at, member, 'notarize', 5, 'aa'),
      signedVote(at, member, 'nullify', 5),
    ],
    [
      'the same vote twice',
      signedVote(at, member, 'notarize', 5, 'aa'),
      signedVote(at, member, 'notarize', 5, 'aa'),
    ],
    ['two views', signedVote(at, member, 'finalize', 5, 'aa'), signedVote(at, member, 'finalize', 6, 'bb')],
    [
      'two members',
      signedVote(at, member, 'finalize', 5, 'aa'),
      signedVote(at, accuser, 'finalize', 5, 'bb'),
    ],
    ['no member', signedVote(at, outsider, 'finalize', 5, 'aa'), signedVote(at, outsider, 'nullify', 5)],
    [
      'a forged signature',
      signedVote(at, member, 'finalize', 5, 'aa'),
      { ...signedVote(at, accuser, 'nullify', 5), signer: member.nodeId },
    ],
    [
      'another epoch',
      signedVote(at, member, 'finalize', 5, 'aa'),
      { ...signedVote(at, member, 'nullify', 5), epoch: 1 },
    ],
  ];
  for (const [name, first, second] of cases) {
    const { refused, nextCommittee } = at.block([[accuser, { kind: 'misconduct', first, second }]]);
    assert.equal(refused[0]?.code, 'bad-evidence', name);
    assert.equal(nextCommittee, undefined, name);
  }
  const nullifyAndFinalize: TransactionBody = {
    kind: 'misconduct',
    first: signedVote(at, member, 'nullify', 5),
    second: signedVote(at, member, 'finalize', 5, 'aa'),
  };
  const { refused, nextCommittee } = at.block([[accuser, nullifyAndFinalize]]);
  assert.deepEqual(refused, [undefined]);
  assert.equal(nextCommittee?.length, 3, 'three are left, and all of them must agree');
});

test('any sequence of entering, leaving, convicting and waiting keeps money, the pool and the committee sound', () => {
  const step = fc.tuple(fc.nat(8), fc.constantFrom('enter', 'leave', 'convict', 'wait'), fc.nat(3 * HOUR));
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const at = world(4, { seatsMax: 7 });
      const convicted = new Set<string>();
      for (const [n, what, waitMs] of steps) {
        const who = at.people[n] as Person;
        if (what === 'wait') at.block([], waitMs + 1);
        else if (what === 'enter') at.block([enter(who)]);
        else if (what === 'leave') at.block([leave(who)]);
        else {
          const { epoch } = epochOf(at.state);
          if (!committeeOf(at.state).some((seat) => seat.nodeId === who.nodeId)) continue;
          if (committeeOf(at.state).length === 1) continue;
          const first = signedVote(at, who, 'finalize', 3, 'aa', epoch);
          const second = signedVote(at, who, 'finalize', 3, 'bb', epoch);
          const { refused } = at.block([[who, { kind: 'misconduct', first, second }]]);
          if (refused[0] === undefined) convicted.add(who.nodeId);
        }
        assert.equal(at.imbalance(), 0n);
        const seats = committeeOf(at.state);
        assert(seats.length >= 1 && seats.length <= 7);
        assert.equal(new Set(seats.map((seat) => seat.seatId)).size, seats.length);
        assert(seats.every((seat) => !convicted.has(seat.nodeId)));
        for (const one of at.people) {
          const place = at.state.read(SEATS, one.ekId)?.place;
          assert(place === undefined || place < poolSize(at.state));
        }
      }
    }),
    { numRuns: 60 },
  );
});

/** What `rebind` does to the state, without the chip's statement. */
function rebind(at: LedgerWorld, who: Person, to: Person['nodeId']): void {
  const draft = new StateDraft(at.state);
  const tpm = draft.read(TPMS, who.ekId);
  assert(tpm);
  const entry = draft.read(NODES, tpm.nodeId);
  assert(entry && draft.read(NODES, to) === undefined);
  draft.write(NODES, tpm.nodeId, undefined);
  draft.write(NODES, to, entry);
  draft.write(TPMS, who.ekId, { ...tpm, nodeId: to });
  for (const [key, row] of draft.changes()) row === undefined ? at.rows.delete(key) : at.rows.set(key, row);
}

test('no committee has two seats of one node', () => {
  const at = world();
  const [a, b, , , other] = at.people as [Person, Person, Person, Person, Person];
  // The member a moves its chip to another node key, and its node key to another chip of the same owner.
  at.block([enter(a), enter(b), enter(other)]);
  const key = a.nodeId;
  rebind(at, a, `02${'77'.repeat(32)}` as Person['nodeId']);
  rebind(at, other, key);
  at.block([leave(a)]);
  at.block([], HOUR);
  const nodes = committeeOf(at.state).map((seat) => seat.nodeId);
  assert.equal(new Set(nodes).size, nodes.length);
});

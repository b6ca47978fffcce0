import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { LedgerWorld, type Person } from '../../test/support/ledger-world.ts';
import { sign } from '../crypto/secp256k1.ts';
import { grains } from '../grains.ts';
import { type ContractId, type Hash, hashId, ZERO_HASH } from '../ids.ts';
import { leafHash, nodeHash } from '../merkle.ts';
import { closeDigest, type PeriodProof, receiptDigest, type StorageTerms } from '../storage-formats.ts';
import type { TransactionBody } from '../transaction.ts';
import { challengeLeaves, periodPrice } from './contract-terms.ts';
import { BEACONS } from './entities.ts';

/** A fragment of 1,024 leaves, and the tree over it, level by level. */
function fragment(seed: number) {
  const leaves = Array.from({ length: 1_024 }, (_, i) => {
    const word = createHash('sha256').update(`${seed}.${i}`).digest();
    return new Uint8Array(Buffer.concat(Array.from({ length: 32 }, () => word)));
  });
  const levels = [leaves.map((leaf) => leafHash(leaf))];
  for (let level = levels[0] as Uint8Array[]; level.length > 1; ) {
    level = Array.from({ length: level.length / 2 }, (_, i) =>
      nodeHash(level[2 * i] as Uint8Array, level[2 * i + 1] as Uint8Array),
    );
    levels.push(level);
  }
  return {
    root: hashId<Hash>((levels.at(-1) as Uint8Array[])[0] as Uint8Array),
    proof: (index: number) => ({
      leaf: leaves[index] as Uint8Array,
      path: levels
        .slice(0, -1)
        .map((level, depth) => hashId<Hash>(level[(index >> depth) ^ 1] as Uint8Array)),
    }),
  };
}
const data = fragment(1);
const PRICE = grains(1_024_000n); // per GiB and period: 1,000 grains a fragment
const terms = (world: LedgerWorld, more: Partial<StorageTerms> = {}) => ({
  priceGrainsPerGiBPeriod: PRICE,
  egressGrainsPerGiB: grains(1_073_741_824n), // a grain a byte
  root: data.root,
  leafCount: 1_024,
  startPeriod: world.period + 1,
  endPeriod: world.period + 10,
  escrowGrains: grains(50_000),
  collateralGrains: grains(100_000),
  ...more,
});

function opened(more: Partial<StorageTerms> = {}) {
  const world = new LedgerWorld(['proposer', 'renter', 'host']);
  const [, renter, host] = world.people as [Person, Person, Person];
  const { refused, ids } = world.block([[renter, world.open(renter, host, terms(world, more))]]);
  assert.equal(refused[0], undefined);
  return { world, renter, host, id: ids[0] as ContractId };
}

function receipt(
  world: LedgerWorld,
  renter: Person,
  contractId: ContractId,
  throughPeriod: number,
  egressBytes = 0,
  revision = 0,
): TransactionBody {
  const digest = receiptDigest(world.rules.chainId, { contractId, throughPeriod, revision, egressBytes });
  return {
    kind: 'storage.settle',
    contractId,
    throughPeriod,
    evidence: { kind: 'receipt', revision, egressBytes, renterSignature: sign(digest, renter.accountSecret) },
  };
}

function proofs(world: LedgerWorld, contractId: ContractId, from: number, through: number): TransactionBody {
  const periods: PeriodProof[] = [];
  for (let period = from; period <= through; period++) {
    const beacon = world.state.read(BEACONS, String(period))?.beacon as Hash;
    periods.push({
      period,
      leaves: challengeLeaves(beacon, contractId, 1_024, 5).map((index) => data.proof(index)),
    });
  }
  return {
    kind: 'storage.settle',
    contractId,
    throughPeriod: through,
    evidence: { kind: 'proofs', periods },
  };
}

test('a receipt pays every period up to it, and egress, to the grain', () => {
  const { world, renter, host, id } = opened();
  world.turn();
  world.turn();
  const before = world.balance(host);
  const { refused, events } = world.block([[host, receipt(world, renter, id, 2, 700)]]);
  assert.equal(refused[0], undefined);
  const paid = events.flatMap(({ event }) =>
    event.kind === 'payment' && event.to === host.accountId ? [event] : [],
  );
  assert.deepEqual(
    paid.map((payment) => [payment.reason, payment.period, payment.amountGrains]),
    [
      ['storage', 1, 1_000n],
      ['storage', 2, 1_000n],
      ['egress', 2, 700n],
    ],
  );
  assert.equal(world.balance(host) - before, 2_700n - 100n); // less the fee of the settlement
  assert.equal(world.imbalance(), 0n);
  assert.equal(world.block([[host, receipt(world, renter, id, 2, 700)]]).refused[0]?.code, 'nothing-due');
});

test('proofs pay without the renter; wrong leaves, other periods and too few leaves are refused', () => {
  const { world, renter, host, id } = opened();
  world.turn();
  world.turn();
  const good = proofs(world, id, 1, 2);
  assert(good.kind === 'storage.settle' && good.evidence.kind === 'proofs');
  const { periods } = good.evidence;
  const [first, second] = periods as [PeriodProof, PeriodProof];
  const variant = (changed: readonly PeriodProof[]): TransactionBody => ({
    ...good,
    evidence: { kind: 'proofs', periods: changed },
  });
  const swapped = {
    ...first,
    leaves: [...first.leaves.slice(1), first.leaves[0] as (typeof first.leaves)[0]],
  };
  const flipped = {
    ...first,
    leaves: first.leaves.map((leaf) => ({ ...leaf, leaf: leaf.leaf.map((byte) => byte ^ 1) })),
  };
  for (const bad of [
    [first],
    [second],
    [first, first],
    [swapped, second],
    [flipped, second],
    [{ ...first, leaves: first.leaves.slice(1) }, second],
  ]) {
    assert.equal(world.block([[host, variant(bad)]]).refused[0]?.code, 'bad-proof');
  }
  assert.equal(world.block([[renter, good]]).refused[0]?.code, 'not-owner');
  assert.equal(world.block([[host, good]]).refused[0], undefined);
  assert.equal(world.contract(id)?.paidStorageGrains, 2_000n);
  assert.equal(world.imbalance(), 0n);
});

test('a period neither receipted nor proven in its window is missed; three in a row fail the contract', () => {
  const { world, renter, host, id } = opened();
  const renterBefore = world.balance(renter);
  for (let i = 0; i < 3; i++) world.turn(); // period 3: period 1 can still be proven
  assert.equal(world.contract(id)?.missedPeriods, 0);
  world.turn();
  assert.equal(world.contract(id)?.missedPeriods, 1);
  assert.equal(world.balance(renter) - renterBefore, 1_000n + 10_000n);
  assert.equal(world.block([[host, receipt(world, renter, id, 1)]]).refused[0]?.code, 'nothing-due');
  world.turn();
  world.turn();
  assert.equal(world.contract(id), undefined);
  // Everything that was left: escrow back, the rest of the collateral too.
  assert.equal(world.balance(renter) - renterBefore, 50_000n + 100_000n);
  assert.equal(world.imbalance(), 0n);
});

test('after its end and window a contract expires: escrow to the renter, collateral to the host', () => {
  const { world, renter, host, id } = opened({ endPeriod: 2 });
  world.turn();
  world.turn();
  world.block([[host, receipt(world, renter, id, 2)]]);
  const before = [world.balance(renter), world.balance(host)] as const;
  world.turn();
  world.turn();
  assert.notEqual(world.contract(id), undefined);
  world.turn();
  assert.equal(world.contract(id), undefined);
  assert.deepEqual([world.balance(renter) - before[0], world.balance(host) - before[1]], [48_000n, 100_000n]);
  assert.equal(world.imbalance(), 0n);
});

test('a revision is in force from the next period; it can extend, grow, shrink and empty a contract', () => {
  const { world, renter, host, id } = opened();
  world.turn();
  const revision = {
    contractId: id,
    revision: 1,
    root: data.root,
    leafCount: 2_048,
    endPeriod: 30,
    addedEscrowGrains: grains(60_000),
    addedCollateralGrains: grains(0),
  };
  assert.equal(world.block([[host, world.revise(host, revision)]]).refused[0]?.code, 'not-owner');
  assert.equal(
    world.block([[renter, world.revise(host, { ...revision, addedEscrowGrains: grains(0) })]]).refused[0]
      ?.code,
    'bad-terms',
  );
  assert.equal(world.block([[renter, world.revise(host, revision)]]).refused[0], undefined);
  assert.equal(world.block([[renter, world.revise(host, revision)]]).refused[0]?.code, 'bad-revision');
  world.turn();
  const { events } = world.block([[host, receipt(world, renter, id, 2, 0, 1)]]);
  const amounts = events.flatMap(({ event }) =>
    event.kind === 'payment' && event.reason === 'storage' ? [event.amountGrains] : [],
  );
  assert.deepEqual(amounts, [1_000n, 2_000n]);
  world.block([
    [
      renter,
      world.revise(host, {
        ...revision,
        revision: 2,
        root: ZERO_HASH,
        leafCount: 0,
        addedEscrowGrains: grains(0),
      }),
    ],
  ]);
  for (let i = 0; i < 40; i++) world.turn();
  assert.equal(world.imbalance(), 0n);
  assert.equal(world.contract(id), undefined);
});

test('terms must carry the signature of the host over exactly them, cover the price and not repeat', () => {
  const world = new LedgerWorld(['proposer', 'renter', 'host']);
  const [proposer, renter, host] = world.people as [Person, Person, Person];
  const body = world.open(renter, host, terms(world));
  assert(body.kind === 'storage.open');
  const code = (sender: Person, changed: TransactionBody) =>
    world.block([[sender, changed]], 1).refused[0]?.code;
  assert.equal(code(proposer, body), 'bad-host-signature');
  assert.equal(code(renter, { ...body, collateralGrains: grains(1) }), 'bad-host-signature');
  assert.equal(
    code(renter, world.open(renter, host, terms(world, { escrowGrains: grains(9_999) }))),
    'bad-terms',
  );
  assert.equal(code(renter, world.open(renter, host, terms(world, { leafCount: 1_000 }))), 'bad-terms');
  assert.equal(code(renter, world.open(renter, host, terms(world, { startPeriod: 5 }))), 'bad-terms');
  assert.equal(
    code(renter, world.open(renter, host, terms(world, { collateralGrains: grains(2_000_000_000_000n) }))),
    'insufficient-balance',
  );
  assert.equal(code(renter, body), undefined);
  assert.equal(code(renter, body), 'bad-terms');
});

test('both may close a contract after its first period', () => {
  const { world, renter, host, id } = opened();
  const close = (egressBytes: number, by: Person = renter): TransactionBody => {
    const digest = closeDigest(world.rules.chainId, id, egressBytes);
    return {
      kind: 'storage.close',
      contractId: id,
      egressBytes,
      renterSignature: sign(digest, by.accountSecret),
      hostSignature: sign(digest, host.nodeSecret),
    };
  };
  world.turn();
  assert.equal(world.block([[host, close(5)]]).refused[0]?.code, 'bad-terms');
  world.turn();
  assert.equal(world.block([[host, close(5, host)]]).refused[0]?.code, 'bad-signature');
  const before = world.balance(host);
  assert.equal(world.block([[renter, close(5)]]).refused[0], undefined);
  assert.equal(world.balance(host) - before, 2_000n + 5n + 100_000n);
  assert.equal(world.imbalance(), 0n);
});

test('nobody is punished for a time in which the whole ledger slept', () => {
  const { world, renter, host, id } = opened();
  world.turn();
  world.block([], 1_000 * world.rules.parameters.periodMs);
  assert.equal(world.period, 2);
  assert.equal(world.block([[host, proofs(world, id, 1, 2)]]).refused[0], undefined);
  world.turn();
  world.block([[host, receipt(world, renter, id, 3)]]);
  assert.equal(world.contract(id)?.missedPeriods, 0);
});

test('money is conserved under any sequence of transactions and times', () => {
  const actor = fc.integer({ min: 0, max: 3 });
  const step = fc.record({
    kind: fc.constantFrom('transfer', 'open', 'revise', 'receipt', 'proofs', 'close'),
    a: actor,
    b: actor,
    amount: fc.oneof(fc.bigInt(0n, 300_000n), fc.constantFrom(2n ** 64n - 1n, 10n ** 12n)),
    n: fc.integer({ min: 0, max: 12 }),
    afterMs: fc.constantFrom(1, 9_000, 10_000, 10_001, 45_000),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const world = new LedgerWorld(['a', 'b', 'c', 'd'], 1_000_000n);
      const known: { id: ContractId; renter: Person; host: Person; revision: number }[] = [];
      for (const { kind, a, b, amount, n, afterMs } of steps) {
        const one = world.people[a] as Person;
        const other = world.people[b] as Person;
        const target = known[n % Math.max(1, known.length)];
        let body: TransactionBody | undefined;
        let sender = one;
        if (kind === 'transfer') body = { kind, to: other.accountId, amountGrains: grains(amount), memo: '' };
        else if (kind === 'open') {
          body = world.open(
            one,
            other,
            terms(world, {
              endPeriod: world.period + n,
              escrowGrains: grains(amount),
              collateralGrains: grains(amount / 2n),
            }),
          );
        } else if (target !== undefined) {
          sender = kind === 'revise' ? target.renter : target.host;
          if (kind === 'revise') {
            target.revision++;
            body = world.revise(target.host, {
              contractId: target.id,
              revision: target.revision,
              root: n === 0 ? ZERO_HASH : data.root,
              leafCount: n * 1_024,
              endPeriod: world.period + n + 5,
              addedEscrowGrains: grains(amount),
              addedCollateralGrains: grains(n),
            });
          } else if (kind === 'receipt') {
            body = receipt(
              world,
              target.renter,
              target.id,
              Math.max(0, world.period - (n % 3)),
              n * 1_000,
              world.contract(target.id)?.revision ?? 0,
            );
          } else if (kind === 'proofs' && world.period > 0)
            body = proofs(
              world,
              target.id,
              world.contract(target.id)?.nextPeriod ?? world.period,
              world.period,
            );
          else if (kind === 'close') {
            const digest = closeDigest(world.rules.chainId, target.id, n);
            body = {
              kind: 'storage.close',
              contractId: target.id,
              egressBytes: n,
              renterSignature: sign(digest, target.renter.accountSecret),
              hostSignature: sign(digest, target.host.nodeSecret),
            };
          }
        }
        if (
          body !== undefined &&
          body.kind === 'storage.settle' &&
          body.evidence.kind === 'proofs' &&
          body.evidence.periods.length > 8
        )
          body = undefined;

        const { refused, ids } = world.block(body === undefined ? [] : [[sender, body]], afterMs);
        if (body?.kind === 'storage.open' && refused[0] === undefined)
          known.push({ id: ids[0] as ContractId, renter: one, host: other, revision: 0 });
        assert.equal(world.imbalance(), 0n);
      }
    }),
    { numRuns: 150, includeErrorInReport: true },
  );
});

test('prices are floors of exact fractions', () => {
  assert.equal(periodPrice(grains(1_023n), 1_024), 0n);
  assert.equal(periodPrice(grains(1_024n), 1_024), 1n);
});

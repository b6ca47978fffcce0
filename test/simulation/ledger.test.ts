import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commit, storedRoot } from '../../ledger/commitment/commitment.ts';
import { sign } from '../../ledger/crypto/secp256k1.ts';
import { grains } from '../../ledger/grains.ts';
import type { ContractId, Hash } from '../../ledger/ids.ts';
import { receiptDigest } from '../../ledger/storage-formats.ts';
import type { TransactionBody } from '../../ledger/transaction.ts';
import { LedgerWorld, type Person } from '../support/ledger-world.ts';
import { RandomStream } from './random.ts';

/**
 * The real state transition under a market of honest, dead and dying hosts and of renters that refuse receipts, on
 * seeds: money is conserved, roots agree however the state was reached, the honest are never punished, and nobody is
 * paid for a time in which nobody vouched for it.
 */

const SEEDS = 150;
const PERIODS = 40;
const ROOT = '12'.repeat(32) as Hash;

interface Deal {
  readonly id: ContractId;
  readonly renter: Person;
  readonly host: Person;
  /** The period in which the host dies; it does nothing from then on. */
  readonly diesIn: number;
  readonly endPeriod: number;
}

function receipt(world: LedgerWorld, deal: Deal, throughPeriod: number): TransactionBody {
  const body = { contractId: deal.id, throughPeriod, revision: 0, egressBytes: 0 };
  const renterSignature = sign(receiptDigest(world.rules.chainId, body), deal.renter.accountSecret);
  return {
    kind: 'storage.settle',
    contractId: deal.id,
    throughPeriod,
    evidence: { kind: 'receipt', revision: 0, egressBytes: 0, renterSignature },
  };
}

function run(seed: number): Map<string, number> {
  const dice = new RandomStream(seed, 'ledger');
  const world = new LedgerWorld(['proposer', 'a', 'b', 'c', 'd', 'e']);
  const counters = new Map<string, number>();
  const bump = (name: string): void => void counters.set(name, (counters.get(name) ?? 0) + 1);
  const deals: Deal[] = [];
  const over = new Map<ContractId, string>();
  const pages = new Map<string, Uint8Array>();
  const readPage = (path: string): Uint8Array | undefined => pages.get(path);
  let rows = new Map<string, Uint8Array>();

  const take = (
    sent: readonly (readonly [Person, TransactionBody])[],
    afterMs: number,
  ): readonly ContractId[] => {
    const { events, ids } = world.block(sent, afterMs);
    for (const { event } of events) {
      if (event.kind === 'contract-ended') over.set(event.contractId, event.how);
      if (event.kind === 'period-paid') {
        const deal = deals.find(({ id }) => id === event.contractId) as Deal;
        assert(
          event.period < deal.diesIn,
          `a host was paid for period ${event.period} and died in ${deal.diesIn}`,
        );
      }
      if (event.kind === 'period-missed') {
        bump('missed');
        const deal = deals.find(({ id }) => id === event.contractId) as Deal;
        assert(event.period >= deal.diesIn, `an honest host was punished for period ${event.period}`);
      }
    }
    assert.equal(world.imbalance(), 0n);
    const changes = new Map<string, Uint8Array | undefined>();
    for (const [key, row] of world.rows) if (rows.get(key) !== row) changes.set(key, row);
    for (const key of rows.keys()) if (!world.rows.has(key)) changes.set(key, undefined);
    for (const [path, page] of commit(readPage, changes).pages)
      page === undefined ? pages.delete(path) : pages.set(path, page);
    rows = new Map(world.rows);
    return ids;
  };

  for (let period = 0; period < PERIODS; period++) {
    // The whole network sleeps now and then: no time passes for contracts.
    take([], dice.chance(0.1) ? dice.whole(20_000, 900_000) : 10_000);
    const now = world.period;
    const [renter, host] = [dice.pick(world.people), dice.pick(world.people)];
    if (dice.chance(0.4)) {
      const endPeriod = now + dice.whole(1, 15);
      const body = world.open(renter, host, {
        priceGrainsPerGiBPeriod: grains(1_024_000),
        egressGrainsPerGiB: grains(0),
        root: ROOT,
        leafCount: 1_024 * dice.whole(1, 4),
        startPeriod: now + 1,
        endPeriod,
        escrowGrains: grains(100_000),
        collateralGrains: grains(dice.whole(0, 60_000)),
      });
      const before = world.rows.size;
      const [id] = take([[renter, body]], 50);
      if (id !== undefined && world.contract(id) !== undefined && world.rows.size > before) {
        deals.push({
          id,
          renter,
          host,
          diesIn: dice.chance(0.3) ? now + dice.whole(1, 8) : Number.POSITIVE_INFINITY,
          endPeriod,
        });
        bump('opened');
      }
    }
    for (const deal of deals) {
      const contract = world.contract(deal.id);
      // Honest hosts settle every period or let one or two gather, as long as the window allows.
      if (contract === undefined || now < contract.startPeriod) continue;
      const through = Math.min(now, deal.endPeriod, deal.diesIn - 1);
      const mustSettle = contract.nextPeriod <= now - 1;
      if (through >= contract.nextPeriod && (mustSettle || dice.chance(0.7)))
        take([[deal.host, receipt(world, deal, through)]], 10);
    }
  }
  for (let period = 0; period < 25; period++) {
    for (const deal of deals) {
      const contract = world.contract(deal.id);
      const through = Math.min(world.period, deal.endPeriod, deal.diesIn - 1);
      if (contract !== undefined && through >= contract.nextPeriod)
        take([[deal.host, receipt(world, deal, through)]], 10);
    }
    take([], 10_000);
  }
  for (const deal of deals) {
    const how = over.get(deal.id);
    assert(how !== undefined, 'a contract outlived its end');
    bump(how);
    if (deal.diesIn > deal.endPeriod) assert.equal(how, 'expired');
  }
  const fresh = new Map<string, Uint8Array>();
  const { root, pages: made } = commit(() => undefined, world.rows);
  for (const [path, page] of made) if (page !== undefined) fresh.set(path, page);
  assert.equal(storedRoot(readPage), root, 'the root depends on the way the state came about');
  assert.deepEqual([...pages].sort(), [...fresh].sort());
  return counters;
}

test(`the market on ${SEEDS} seeds: conserved, agreed, and the honest unpunished`, () => {
  const totals = new Map<string, number>();
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      for (const [name, count] of run(seed)) totals.set(name, (totals.get(name) ?? 0) + count);
    } catch (error) {
      throw new Error(`seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
  for (const name of ['opened', 'missed', 'failed', 'expired'])
    assert((totals.get(name) ?? 0) > 0, `never happened: ${name}`);
});

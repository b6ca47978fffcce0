import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Block } from '../../../ledger/block.ts';
import { utf8 } from '../../../ledger/bytes.ts';
import { sha256 } from '../../../ledger/crypto/sha256.ts';
import { grains } from '../../../ledger/grains.ts';
import { type ContractId, type Hash, hashId, type TransactionId } from '../../../ledger/ids.ts';
import type { TracedEvent } from '../../../ledger/state/apply.ts';
import type { StorageContract } from '../../../ledger/state/entities.ts';
import { person } from '../../../test/support/ledger-world.ts';
import { type EarningSums, historyEntry, IndexBatch, type StoredHistory } from './ledger-index.ts';

const host = person('host');
const renter = person('renter');
const id = (name: string): ContractId => hashId<Hash>(sha256(utf8(name))) as string as ContractId;

function contract(paid: bigint, penalty = 0n): StorageContract {
  return {
    renterId: renter.accountId,
    hostEkId: host.ekId,
    hostAccountId: host.accountId,
    priceGrainsPerGiBPeriod: grains(1n),
    egressGrainsPerGiB: grains(1n),
    startPeriod: 1,
    endPeriod: 9,
    escrowGrains: grains(5n),
    collateralGrains: grains(5n),
    revision: 0,
    roots: [],
    nextPeriod: 4,
    missedInARow: 0,
    missedPeriods: 0,
    paidPeriods: 3,
    egressBytes: 0,
    paidStorageGrains: grains(paid),
    paidEgressGrains: grains(2n),
    penaltyGrains: grains(penalty),
    openedHeight: 7,
  };
}

test('contracts that come with a snapshot are known, and what they paid is earned once', () => {
  const kept = new Map<string, Uint8Array>();
  const read = <T>(key: string): T | undefined => {
    const bytes = kept.get(key);
    return bytes === undefined ? undefined : (JSON.parse(new TextDecoder().decode(bytes)) as T);
  };
  const adopt = (...contracts: readonly (readonly [ContractId, StorageContract])[]): void => {
    const batch = new IndexBatch(read);
    for (const [n, [contractId, one]] of contracts.entries()) batch.adoptContract(contractId, one, n);
    for (const [key, value] of batch.changes()) if (value !== undefined) kept.set(key, value);
  };
  const earned = (): EarningSums | undefined => read(`earned/${host.accountId}`);

  adopt([id('a'), contract(30n)], [id('b'), contract(10n, 4n)]);
  const sums = { storageGrains: '40', egressGrains: '4', feeGrains: '0', penaltyGrains: '4' };
  assert.deepEqual(earned(), sums);
  assert.equal(read(`live-of/${renter.accountId}/${id('a')}`), id('a'));
  assert.equal(read<{ openedHeight: number }>(`contract/${id('b')}`)?.openedHeight, 7);
  assert.equal([...kept.keys()].filter((key) => key.startsWith('contracts/')).length, 2);

  // The same state again adds nothing; a later one adds what was paid since.
  adopt([id('a'), contract(30n)], [id('b'), contract(10n, 4n)]);
  assert.deepEqual(earned(), sums);
  adopt([id('b'), contract(15n, 4n)]);
  assert.deepEqual(earned(), { ...sums, storageGrains: '45' });
  assert.equal([...kept.keys()].filter((key) => key.startsWith('contracts/')).length, 2);
});

test('a movement of money is read as it was written, whatever of it is absent', () => {
  const batch = new IndexBatch(() => undefined);
  const transactionId = hashId<Hash>(sha256(utf8('transaction'))) as string as TransactionId;
  const absent = { contractId: undefined, period: undefined };
  const events: TracedEvent[] = [
    {
      transactionId,
      event: {
        kind: 'payment',
        reason: 'transfer',
        from: renter.accountId,
        to: host.accountId,
        amountGrains: grains(7n),
        ...absent,
      },
    },
    {
      transactionId: undefined,
      event: {
        kind: 'payment',
        reason: 'storage',
        from: renter.accountId,
        to: host.accountId,
        amountGrains: grains(8n),
        contractId: id('a'),
        period: 3,
      },
    },
  ];
  const header = { height: 12, timestampMs: 34 } as Block['header'];
  batch.addBlock({ header, transactions: [] }, events);
  const entries = (account: string) =>
    [...batch.changes()].flatMap(([key, bytes]) => {
      const [table, owner, place = ''] = key.split('/');
      if (table !== 'history' || owner !== account) return [];
      return [historyEntry(place, JSON.parse(new TextDecoder().decode(bytes)) as StoredHistory)];
    });
  const both = { height: 12, timestampMs: 34, memo: undefined };
  const transfer = { ...both, ...absent, transactionId, reason: 'transfer', amountGrains: '7' };
  const storage = { ...both, transactionId: undefined, reason: 'storage', amountGrains: '8' };
  assert.deepEqual(entries(host.accountId), [
    { ...transfer, direction: 'in', otherId: renter.accountId },
    { ...storage, direction: 'in', otherId: renter.accountId, contractId: id('a'), period: 3 },
  ]);
  // What a period costs left the balance with the escrow.
  assert.deepEqual(entries(renter.accountId), [{ ...transfer, direction: 'out', otherId: host.accountId }]);
});

import { formatAcorns } from '../../ledger/grains.ts';
import type { Hash } from '../../ledger/ids.ts';
import { FRAGMENT_BYTES } from '../../ledger/merkle.ts';
import { newestRoot, periodPrice } from '../../ledger/state/contract-terms.ts';
import type { StorageContract } from '../../ledger/state/entities.ts';
import type { StorageOffer, StorageRevision, StorageTerms } from '../../ledger/storage-formats.ts';
import { MarketError } from '../errors.ts';
import { commitmentOf, type FragmentList } from '../fragment-list.ts';
import type { MarketLedger } from '../interfaces.ts';

/** What a host demands of prices, times and money before it signs. */

/**
 * Bytes served that a renter did not count and is forgiven with each period's receipt: answers that never arrived. Without
 * it they would add up until the escrow seems to be used up.
 */
export const EGRESS_FORGIVEN_BYTES = 16 * FRAGMENT_BYTES;
/** Periods that a renter may be ahead of this host, in what both know of the ledger. */
const PERIODS_AHEAD = 1;

type HostLedger = Pick<MarketLedger, 'nodeId' | 'accountId' | 'period' | 'balanceGrains'>;

/** Terms of a new contract. Throws MarketError (`price-too-low`, `bad-terms`, `collateral-short`). */
export function checkTerms(terms: StorageTerms, offer: StorageOffer, ledger: HostLedger): void {
  checkPrices(terms, offer);
  const period = ledger.period();
  const periods = terms.endPeriod - terms.startPeriod + 1;
  if (terms.hostNodeId !== ledger.nodeId)
    throw new MarketError('bad-terms', 'the terms are for another host');
  if (terms.startPeriod < period || terms.startPeriod > period + PERIODS_AHEAD + 1)
    throw new MarketError('bad-terms', `expected a start soon after period ${period}`);
  if (periods < offer.periodsMin || periods > offer.periodsMax)
    throw new MarketError(
      'bad-terms',
      `expected ${offer.periodsMin} to ${offer.periodsMax} periods, got ${periods}`,
    );
  const storage = periodPrice(terms.priceGrainsPerGiBPeriod, terms.leafCount) * BigInt(periods);
  if (terms.escrowGrains < storage)
    throw new MarketError('bad-terms', `expected an escrow of at least ${formatAcorns(storage)} acorns`);
  const most = (storage * BigInt(offer.collateralPercent)) / 100n;
  if (terms.collateralGrains > most)
    throw new MarketError(
      'bad-terms',
      `expected a collateral of at most ${formatAcorns(most)} acorns, got ${formatAcorns(terms.collateralGrains)}`,
    );
  checkCollateral(terms.collateralGrains, ledger);
}

/**
 * A revision of a contract; `offer` is asked for where it asks for more storage, and throws where there is none. Throws
 * MarketError (`contract-ended`, `bad-terms`, `price-too-low`, `collateral-short`).
 */
export function checkRevision(
  contract: StorageContract,
  revision: StorageRevision,
  offer: () => StorageOffer,
  ledger: HostLedger,
): void {
  const period = ledger.period();
  if (period >= contract.endPeriod)
    throw new MarketError('contract-ended', 'the contract is in its last period or past it');
  if (revision.revision !== contract.revision + 1)
    throw new MarketError(
      'bad-terms',
      `expected revision ${contract.revision + 1}, got ${revision.revision}`,
    );
  if (revision.leafCount <= newestRoot(contract).leafCount && revision.endPeriod <= contract.endPeriod) {
    if (revision.addedCollateralGrains > 0n)
      throw new MarketError('bad-terms', 'nothing grows, so no collateral is added');
    return;
  }
  const { periodsMax, collateralPercent, ...prices } = offer();
  checkPrices(contract, prices);
  // The renter may have seen the period turn before this host did.
  if (revision.endPeriod - period > periodsMax + PERIODS_AHEAD)
    throw new MarketError('bad-terms', `expected an end within ${periodsMax} periods`);
  const storage =
    periodPrice(contract.priceGrainsPerGiBPeriod, revision.leafCount) * BigInt(revision.endPeriod - period);
  const most = addedCollateralMost(contract, storage, collateralPercent);
  if (revision.addedCollateralGrains > most)
    throw new MarketError('bad-terms', `expected at most ${formatAcorns(most)} acorns of added collateral`);
  checkCollateral(revision.addedCollateralGrains, ledger);
}

/** The end of a contract now, after `servedBytes` of egress. Throws MarketError `bad-terms`. */
export function checkClose(
  contract: StorageContract,
  egressBytes: number,
  servedBytes: number,
  ledger: HostLedger,
): void {
  if (ledger.period() <= contract.startPeriod)
    throw new MarketError('bad-terms', 'a contract can be closed after its first period');
  if (egressBytes < contract.egressBytes)
    throw new MarketError(
      'bad-terms',
      `expected at least the ${contract.egressBytes} bytes of the last receipt`,
    );
  if (egressBytes < servedBytes - EGRESS_FORGIVEN_BYTES)
    throw new MarketError('bad-terms', `expected about the ${servedBytes} bytes that were got`);
}

/** That root and size which are signed are those of the fragments. Throws MarketError `bad-terms`. */
export function checkCommitment(list: FragmentList, signed: { root: Hash; leafCount: number }): void {
  const { root, leafCount } = commitmentOf(list);
  if (root !== signed.root || leafCount !== signed.leafCount)
    throw new MarketError('bad-terms', 'root and size are not those of the fragments');
}

/** Collateral that a revision may add: up to the percentage of the storage to come, less what is locked already. */
export function addedCollateralMost(
  contract: StorageContract,
  storageGrains: bigint,
  collateralPercent: number,
): bigint {
  const most = (storageGrains * BigInt(collateralPercent)) / 100n - contract.collateralGrains;
  return most > 0n ? most : 0n;
}

type Prices = Pick<StorageOffer, 'priceGrainsPerGiBPeriod' | 'egressGrainsPerGiB'>;

function checkPrices(agreed: Prices, asked: Prices): void {
  if (
    agreed.priceGrainsPerGiBPeriod < asked.priceGrainsPerGiBPeriod ||
    agreed.egressGrainsPerGiB < asked.egressGrainsPerGiB
  )
    throw new MarketError(
      'price-too-low',
      `expected at least ${formatAcorns(asked.priceGrainsPerGiBPeriod)} acorns a GiB and period and ${formatAcorns(asked.egressGrainsPerGiB)} a GiB of egress`,
    );
}

function checkCollateral(grains: bigint, ledger: HostLedger): void {
  if (grains > ledger.balanceGrains(ledger.accountId))
    throw new MarketError('collateral-short', 'this host has not that much collateral to give');
}

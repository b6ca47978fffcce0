import { isEmptyAt } from '../../ledger/state/contract-due.ts';
import type { StorageContract } from '../../ledger/state/entities.ts';
import type { StorageOffer } from '../../ledger/storage-formats.ts';

/** When a contract is given a later end, and when its fragments had better move instead. */

/** How long a contract is made for, in periods, where the host's offer allows it. */
export const PERIODS_WANTED = 720;
/** Hosts that take less are not used: their contracts would end before they could be renewed. */
export const PERIODS_LEAST = 3;
/** A contract is renewed when less than this part of its term is left, */
const RENEW_BELOW = 0.25;
/** and in any case when fewer periods are: a contract in its last period cannot be revised any more. */
const RENEW_PERIODS = 3;

/** The periods that a contract is made or renewed for with a host that takes at most `periodsMax`. */
export function termOf(periodsMax: number, wanted = PERIODS_WANTED): number {
  return Math.max(1, Math.min(Math.floor(wanted), periodsMax));
}

/**
 * Whether a contract is near its end. One that was renewed before is judged by one term, not by its age.
 * `offer`: what its host offers now.
 */
export function isRenewalDue(
  contract: StorageContract,
  period: number,
  offer: StorageOffer | undefined,
): boolean {
  if (contract.startPeriod > period || isEmptyAt(contract, period)) return false;
  const age = contract.endPeriod - contract.startPeriod + 1;
  const term = offer === undefined ? age : Math.min(age, termOf(offer.periodsMax));
  return contract.endPeriod - period < Math.max(term * RENEW_BELOW, RENEW_PERIODS);
}

/** Whether the host would sign that the contract grows or lasts longer: it still offers, at no more than the contract pays. */
export function isExtensible(
  contract: StorageContract,
  period: number,
  offer: StorageOffer | undefined,
): boolean {
  return (
    offer !== undefined &&
    period < contract.endPeriod &&
    contract.priceGrainsPerGiBPeriod >= offer.priceGrainsPerGiBPeriod &&
    contract.egressGrainsPerGiB >= offer.egressGrainsPerGiB
  );
}

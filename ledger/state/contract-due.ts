import type { Parameters } from '../genesis.ts';
import { type Grains, grains, least } from '../grains.ts';
import type { ContractId, EkId } from '../ids.ts';
import type { OperationContext } from './context.ts';
import { priceAt, withoutOldRoots } from './contract-terms.ts';
import { clockOf, credit, moveSupply, type StateDraft } from './draft.ts';
import { CLOCK, CONTRACTS, DUE, DUE_COUNTS, PAIRS, type StorageContract } from './entities.ts';

/**
 * What time does to a contract: periods whose window closed unproven are missed, too many in a row fail it, and after
 * its end it expires. Evaluated when the contract is touched and when it is due, by an index of buckets by period:
 * every live contract stands in exactly one bucket, at or before the period in which something can happen to it.
 */

/** Due contracts looked at in one block at most; the rest waits for the next block, and settling evaluates first anyway. */
const DUE_PER_BLOCK_MAX = 500;

type Context = Pick<OperationContext, 'period' | 'parameters' | 'emit' | 'pay'>;

/** The first period in which time changes the contract. */
export function duePeriodOf(
  contract: StorageContract,
  { proofWindow }: Pick<Parameters, 'proofWindow'>,
): number {
  return Math.min(contract.nextPeriod, contract.endPeriod) + proofWindow + 1;
}

/** Puts a contract into its bucket. */
export function schedule(
  state: StateDraft,
  parameters: Parameters,
  contractId: ContractId,
  contract: StorageContract,
): void {
  const period = String(duePeriodOf(contract, parameters));
  const count = state.read(DUE_COUNTS, period)?.count ?? 0;
  state.write(DUE, `${period}.${count}`, { contractId });
  state.write(DUE_COUNTS, period, { count: count + 1 });
}

/** Looks at the contracts that are due, a bounded number of them. */
export function workOffDue(state: StateDraft, context: Context): void {
  let { duePeriod, dueIndex } = clockOf(state);
  let budget = DUE_PER_BLOCK_MAX;
  while (duePeriod <= context.period && budget > 0) {
    const count = state.read(DUE_COUNTS, String(duePeriod))?.count ?? 0;
    for (; dueIndex < count && budget > 0; dueIndex++, budget--) {
      const key = `${duePeriod}.${dueIndex}`;
      const entry = state.read(DUE, key);
      state.write(DUE, key, undefined);
      if (entry === undefined) continue;
      const contract = evaluate(state, context, entry.contractId);
      if (contract !== undefined) schedule(state, context.parameters, entry.contractId, contract);
    }
    if (dueIndex < count) break;
    if (count > 0) state.write(DUE_COUNTS, String(duePeriod), undefined);
    if (duePeriod === context.period) break;
    duePeriod++;
    dueIndex = 0;
  }
  state.write(CLOCK, 'clock', { ...clockOf(state), duePeriod, dueIndex });
}

/** The contract as time has left it; `undefined` when it is over (or never was). Writes what changed. */
export function evaluate(
  state: StateDraft,
  context: Context,
  contractId: ContractId,
): StorageContract | undefined {
  const before = state.read(CONTRACTS, contractId);
  if (before === undefined) return undefined;
  const { period, parameters } = context;
  const closed = Math.min(before.endPeriod, period - parameters.proofWindow - 1);
  let contract = before;
  while (contract.nextPeriod <= closed) {
    contract = miss(state, context, contractId, contract);
    if (contract.missedInARow >= parameters.maxMissed) {
      end(state, context, contractId, contract, 'failed');
      return undefined;
    }
  }
  if (period > contract.endPeriod + parameters.proofWindow) {
    end(state, context, contractId, contract, 'expired');
    return undefined;
  }
  if (contract !== before) state.write(CONTRACTS, contractId, contract);
  return contract;
}

/** One period whose window closed: its price goes back to the renter, and the penalty with it. A period of no size passes. */
function miss(
  state: StateDraft,
  context: Context,
  contractId: ContractId,
  contract: StorageContract,
): StorageContract {
  const period = contract.nextPeriod;
  const price = least(priceAt(contract, period), contract.escrowGrains);
  const after = withoutOldRoots({ ...contract, nextPeriod: period + 1 });
  if (isEmptyAt(contract, period)) return after;
  const penalty = least(grains(price * BigInt(context.parameters.missPenalty)), contract.collateralGrains);
  credit(state, contract.renterId, grains(price + penalty));
  moveSupply(state, { escrow: -price, collateral: -penalty });
  context.emit({ kind: 'period-missed', contractId, period });
  context.pay({ reason: 'refund', to: contract.renterId, amountGrains: price, contractId, period });
  context.pay({
    reason: 'penalty',
    from: contract.hostAccountId,
    to: contract.renterId,
    amountGrains: penalty,
    contractId,
    period,
  });
  return {
    ...after,
    escrowGrains: grains(contract.escrowGrains - price),
    collateralGrains: grains(contract.collateralGrains - penalty),
    missedInARow: contract.missedInARow + 1,
    missedPeriods: contract.missedPeriods + 1,
    penaltyGrains: grains(contract.penaltyGrains + penalty),
  };
}

/** Whether nothing was to be kept in that period: then nothing is owed and nothing can be missed. */
export function isEmptyAt(contract: StorageContract, period: number): boolean {
  let leafCount = 0;
  for (const root of contract.roots) if (root.fromPeriod <= period) leafCount = root.leafCount;
  return leafCount === 0;
}

/** Ends a contract: the escrow goes back to the renter; the collateral back to the host, or to the renter when it failed. */
export function end(
  state: StateDraft,
  context: Context,
  contractId: ContractId,
  contract: StorageContract,
  how: 'expired' | 'failed' | 'closed',
): void {
  const { escrowGrains, collateralGrains, renterId, hostAccountId } = contract;
  credit(state, renterId, escrowGrains);
  context.pay({ reason: 'refund', to: renterId, amountGrains: escrowGrains, contractId });
  if (how === 'failed') {
    credit(state, renterId, collateralGrains);
    context.pay({
      reason: 'penalty',
      from: hostAccountId,
      to: renterId,
      amountGrains: collateralGrains,
      contractId,
    });
  } else {
    credit(state, hostAccountId, collateralGrains);
    context.pay({
      reason: 'collateral-return',
      to: hostAccountId,
      amountGrains: collateralGrains,
      contractId,
    });
  }
  moveSupply(state, { escrow: -escrowGrains, collateral: -collateralGrains });
  state.write(CONTRACTS, contractId, undefined);
  state.write(PAIRS, pairKey(renterId, contract.hostEkId), undefined);
  const clock = clockOf(state);
  state.write(CLOCK, 'clock', { ...clock, liveContracts: clock.liveContracts - 1 });
  const penaltyGrains =
    how === 'failed' ? ((contract.penaltyGrains + collateralGrains) as Grains) : contract.penaltyGrains;
  context.emit({ kind: 'contract-ended', contractId, contract: { ...contract, penaltyGrains }, how });
}

/** The key of a renter's contract with a host. */
export function pairKey(
  renterId: StorageContract['renterId'],
  hostEkId: EkId,
): `${StorageContract['renterId']}.${EkId}` {
  return `${renterId}.${hostEkId}`;
}

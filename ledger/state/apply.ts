import { beaconOf } from '../block.ts';
import { demand } from '../errors.ts';
import type { Seat } from '../genesis.ts';
import { formatAcorns, type Grains, grains } from '../grains.ts';
import type { AccountId, BlockId, NodeId, TransactionId } from '../ids.ts';
import { encodeTransaction, feeFloor, transactionId as idOf, type Transaction } from '../transaction.ts';
import { applyAnnounce } from './announce.ts';
import { applyClaim, applyRebind } from './claim.ts';
import type { ChainRules, OperationContext, PaymentParts } from './context.ts';
import { workOffDue } from './contract-due.ts';
import {
  accountOf,
  clockOf,
  credit,
  debit,
  moveSupply,
  type StateChanges,
  StateDraft,
  type StateReader,
} from './draft.ts';
import { ACCOUNTS, BEACONS, CLOCK, type Clock } from './entities.ts';
import { committeeOf, epochOf, turnEpoch } from './epoch-turn.ts';
import type { LedgerEvent } from './events.ts';
import { applyMisconduct } from './misconduct.ts';
import { applySeat } from './seat.ts';
import { applyStorageClose } from './storage-close.ts';
import { applyStorageOpen } from './storage-open.ts';
import { applyStorageRevise } from './storage-revise.ts';
import { applyStorageSettle } from './storage-settle.ts';
import { applyTransfer } from './transfer.ts';

/** The state transition: a block over a state gives changes and events. No I/O, no clock, no randomness. */

/** The part of a header that execution depends on. */
export interface BlockContext {
  readonly height: number;
  readonly parentId: BlockId;
  readonly timestampMs: number;
  readonly proposer: NodeId;
}

/** An event and the transaction that caused it; none for what time did. */
export interface TracedEvent {
  readonly transactionId: TransactionId | undefined;
  readonly event: LedgerEvent;
}

export interface BlockOutcome {
  readonly changes: StateChanges;
  readonly events: readonly TracedEvent[];
  readonly feesGrains: Grains;
  /** Who votes from the next block on, when this one is the last of its epoch. */
  readonly nextCommittee: readonly Seat[] | undefined;
}

export interface BlockExecution {
  /** Applies one transaction; when it is refused nothing of it remains. Throws LedgerError. `bytes`: its encoding, if at hand. */
  add(transaction: Transaction, bytes?: Uint8Array): void;
  /** Pays the fees out and gives the result. */
  finish(): BlockOutcome;
}

/** The ledger time after a block at `timestampMs`. */
export function turnClock(clock: Clock, timestampMs: number, periodMs: number): Clock {
  const nextStartMs = clock.periodStartedMs + periodMs;
  if (timestampMs < nextStartMs) return clock;
  return {
    ...clock,
    period: clock.period + 1,
    periodStartedMs: timestampMs - nextStartMs < periodMs ? nextStartMs : timestampMs,
  };
}

/** Whether a block at `timestampMs` would open a new period that live contracts wait for: then it may be empty. */
export function periodTurnDue(state: StateReader, timestampMs: number, periodMs: number): boolean {
  const clock = clockOf(state);
  return clock.liveContracts > 0 && timestampMs >= clock.periodStartedMs + periodMs;
}

/** Begins a block: turns the period, fixes its beacon, does what time does to contracts. */
export function beginBlock(below: StateReader, rules: ChainRules, block: BlockContext): BlockExecution {
  const state = new StateDraft(below);
  const events: TracedEvent[] = [];
  let fees = 0n;
  let convicted = false;

  const before = clockOf(state);
  const clock = turnClock(before, block.timestampMs, rules.parameters.periodMs);
  const { period } = clock;
  const record = (transactionId: TransactionId | undefined, event: LedgerEvent): void => {
    if (event.kind === 'payment' && event.amountGrains === 0n) return;
    events.push({ transactionId, event });
  };
  const reporter = (
    transactionId: TransactionId | undefined,
    sink: (event: LedgerEvent) => void = (e) => record(transactionId, e),
  ) => ({
    emit: sink,
    pay: (parts: PaymentParts) =>
      sink({
        kind: 'payment',
        from: undefined,
        to: undefined,
        contractId: undefined,
        period: undefined,
        ...parts,
      }),
  });

  if (clock !== before) {
    state.write(CLOCK, 'clock', clock);
    state.write(BEACONS, String(period), { beacon: beaconOf(block.parentId, period) });
    const forgotten = period - rules.parameters.proofWindow - 2;
    if (forgotten >= 0) state.write(BEACONS, String(forgotten), undefined);
    record(undefined, { kind: 'period', period });
  }
  workOffDue(state, { period, parameters: rules.parameters, ...reporter(undefined) });

  return {
    add(transaction, bytes = encodeTransaction(transaction)) {
      const transactionId = idOf(transaction);
      const pending: LedgerEvent[] = [];
      const { emit, pay } = reporter(transactionId, (event) => pending.push(event));
      const { sender, feeGrains, body } = transaction;
      checkEnvelope(transaction, bytes, rules);
      state.attempt(() => {
        const account = accountOf(state, sender);
        demand(
          account.nonce === transaction.nonce,
          'bad-nonce',
          () => `expected nonce ${account.nonce}, got ${transaction.nonce}`,
        );
        state.write(ACCOUNTS, sender, { ...account, nonce: account.nonce + 1 });
        // A claim pays its fee out of what it brings; everything else must have it before.
        if (body.kind !== 'claim') takeFee(state, sender, feeGrains);
        applyBody(
          state,
          {
            // Field by field: spreading the rules takes as long as the rest of a transfer.
            chainId: rules.chainId,
            chainKind: rules.chainKind,
            issuers: rules.issuers,
            parameters: rules.parameters,
            height: block.height,
            period,
            timestampMs: block.timestampMs,
            sender,
            transactionId,
            emit,
            pay,
            endEpoch: () => {
              convicted = true;
            },
          },
          transaction,
        );
        if (body.kind === 'claim') takeFee(state, sender, feeGrains);
      });
      fees += feeGrains;
      for (const event of pending) record(transactionId, event);
    },
    finish() {
      const feesGrains = grains(fees);
      const feeAccountId = committeeOf(state).find((seat) => seat.nodeId === block.proposer)?.accountId;
      if (feeAccountId === undefined) moveSupply(state, { burned: feesGrains });
      else credit(state, feeAccountId, feesGrains);
      reporter(undefined).pay({ reason: 'fee', to: feeAccountId, amountGrains: feesGrains, period });
      const nextCommittee = turnEpoch(state, { ...block, forced: convicted }, rules.parameters);
      if (nextCommittee !== undefined)
        record(undefined, { kind: 'epoch', epoch: epochOf(state).epoch, seats: nextCommittee });
      return { changes: state.changes(), events, feesGrains, nextCommittee };
    },
  };
}

/** What must hold of a transaction in any state of the chain. Throws LedgerError `wrong-chain` or `fee-too-low`. */
export function checkEnvelope(
  { chainId, feeGrains }: Transaction,
  bytes: Uint8Array,
  rules: Pick<ChainRules, 'chainId' | 'parameters'>,
): void {
  demand(chainId === rules.chainId, 'wrong-chain', 'the transaction is for another chain');
  const floor = feeFloor(bytes.length, rules.parameters.feeFloorGrainsPerKiB);
  demand(
    feeGrains >= floor,
    'fee-too-low',
    () => `expected a fee of at least ${formatAcorns(floor)} acorns, got ${formatAcorns(feeGrains)}`,
  );
}

function takeFee(state: StateDraft, sender: AccountId, feeGrains: Grains): void {
  const { balanceGrains } = accountOf(state, sender);
  demand(
    balanceGrains >= feeGrains,
    'insufficient-balance',
    () =>
      `expected a balance of at least the fee of ${formatAcorns(feeGrains)} acorns, got ${formatAcorns(balanceGrains)}`,
  );
  debit(state, sender, feeGrains);
}

function applyBody(state: StateDraft, context: OperationContext, { body }: Transaction): void {
  switch (body.kind) {
    case 'claim':
      applyClaim(state, context, body);
      break;
    case 'rebind':
      applyRebind(state, context, body);
      break;
    case 'transfer':
      applyTransfer(state, context, body);
      break;
    case 'announce':
      applyAnnounce(state, context, body);
      break;
    case 'storage.open':
      applyStorageOpen(state, context, body);
      break;
    case 'storage.revise':
      applyStorageRevise(state, context, body);
      break;
    case 'storage.settle':
      applyStorageSettle(state, context, body);
      break;
    case 'storage.close':
      applyStorageClose(state, context, body);
      break;
    case 'seat':
      applySeat(state, context, body);
      break;
    case 'misconduct':
      applyMisconduct(state, context, body);
      break;
    default:
      body satisfies never;
  }
}

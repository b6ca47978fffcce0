import type { Genesis, Parameters } from '../genesis.ts';
import type { AccountId, ChainId, TransactionId } from '../ids.ts';
import type { LedgerEvent, Payment } from './events.ts';

/** What never changes on a chain. */
export interface ChainRules {
  readonly chainId: ChainId;
  readonly chainKind: Genesis['kind'];
  readonly issuers: Genesis['issuers'];
  readonly parameters: Parameters;
}

/** A payment; what is not said is absent. */
export type PaymentParts = Partial<Payment> & Pick<Payment, 'reason' | 'amountGrains'>;

/** What an operation sees of the block and transaction it is in. */
export interface OperationContext extends ChainRules {
  readonly height: number;
  readonly period: number;
  readonly timestampMs: number;
  readonly sender: AccountId;
  readonly transactionId: TransactionId;
  emit(event: LedgerEvent): void;
  pay(payment: PaymentParts): void;
  /** Makes this block the last of its epoch. */
  endEpoch(): void;
}

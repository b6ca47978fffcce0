import type { Seat } from '../genesis.ts';
import type { Grains } from '../grains.ts';
import type { AccountId, ContractId, EkId, NodeId } from '../ids.ts';
import type { StorageContract } from './entities.ts';

/**
 * What a block did, for indexes, dashboards and schedulers. Not part of the state: derived from it, the same on every
 * node. Every movement of money is one `payment`.
 */
export type LedgerEvent =
  | { readonly kind: 'period'; readonly period: number }
  | { readonly kind: 'claimed'; readonly ekId: EkId; readonly accountId: AccountId; readonly nodeId: NodeId }
  | { readonly kind: 'rebound'; readonly ekId: EkId; readonly from: NodeId; readonly to: NodeId }
  | { readonly kind: 'announced'; readonly nodeId: NodeId }
  | { readonly kind: 'convicted'; readonly ekId: EkId; readonly nodeId: NodeId }
  | { readonly kind: 'epoch'; readonly epoch: number; readonly seats: readonly Seat[] }
  | { readonly kind: 'contract-opened'; readonly contractId: ContractId; readonly contract: StorageContract }
  | { readonly kind: 'contract-revised'; readonly contractId: ContractId; readonly contract: StorageContract }
  | {
      readonly kind: 'period-paid';
      readonly contractId: ContractId;
      readonly period: number;
      readonly by: 'receipt' | 'proofs' | 'close';
    }
  | { readonly kind: 'period-missed'; readonly contractId: ContractId; readonly period: number }
  | {
      readonly kind: 'contract-ended';
      readonly contractId: ContractId;
      readonly contract: StorageContract;
      readonly how: 'expired' | 'failed' | 'closed';
    }
  | Payment;

/** Grains that moved between an account and another, an escrow or a collateral. */
export interface Payment {
  readonly kind: 'payment';
  readonly reason:
    | 'claim'
    | 'transfer'
    | 'fee'
    | 'escrow'
    | 'collateral'
    | 'storage'
    | 'egress'
    | 'penalty'
    | 'refund'
    | 'collateral-return'
    | 'bond'
    | 'bond-return'
    | 'bond-burned';
  /** Who paid, when an account did (or, for storage and egress, the renter whose escrow did). */
  readonly from: AccountId | undefined;
  /** Who got it, when an account did. */
  readonly to: AccountId | undefined;
  readonly amountGrains: Grains;
  readonly contractId: ContractId | undefined;
  /** The period that it pays for, where there is one. */
  readonly period: number | undefined;
}

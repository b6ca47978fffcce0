import * as P from 'micro-packed';
import {
  accountIdCodec,
  boundedList,
  boundedText,
  type Codec,
  contractIdCodec,
  ekIdCodec,
  grainsCodec,
  hashCodec,
  nodeIdCodec,
  optional,
  safeU64,
} from '../codec.ts';
import { type Seat, seatCodec } from '../genesis.ts';
import type { Grains } from '../grains.ts';
import type { AccountId, ContractId, EkId, Hash, NodeId } from '../ids.ts';
import { type StorageOffer, storageOfferCodec } from '../storage-formats.ts';

/** What the state is made of. One table a kind; a row's key is its id. All of it is under the state root. */

export interface Account {
  readonly balanceGrains: Grains;
  /** Transactions sent so far: the nonce of the next. */
  readonly nonce: number;
}

export interface Tpm {
  readonly ownerId: AccountId;
  readonly nodeId: NodeId;
  readonly denominationGrains: Grains;
  readonly claimedHeight: number;
}

export interface NodeEntry {
  readonly ekId: EkId;
  readonly ownerId: AccountId;
  readonly addresses: readonly string[];
  readonly storageOffer: StorageOffer | undefined;
  readonly announcedHeight: number;
}

/** A root of a contract and the period from which it is in force. */
export interface ContractRoot {
  readonly fromPeriod: number;
  readonly revision: number;
  readonly root: Hash;
  readonly leafCount: number;
}

export interface StorageContract {
  readonly renterId: AccountId;
  readonly hostEkId: EkId;
  readonly hostAccountId: AccountId;
  readonly priceGrainsPerGiBPeriod: Grains;
  readonly egressGrainsPerGiB: Grains;
  readonly startPeriod: number;
  readonly endPeriod: number;
  readonly escrowGrains: Grains;
  readonly collateralGrains: Grains;
  readonly revision: number;
  /** The roots that can still be asked for, oldest first. */
  readonly roots: readonly ContractRoot[];
  /** The first period that is neither paid nor missed. */
  readonly nextPeriod: number;
  readonly missedInARow: number;
  readonly missedPeriods: number;
  readonly paidPeriods: number;
  /** Bytes whose egress is paid. */
  readonly egressBytes: number;
  readonly paidStorageGrains: Grains;
  readonly paidEgressGrains: Grains;
  readonly penaltyGrains: Grains;
  readonly openedHeight: number;
}

/** Where all money is: claimed = balances + escrow + collateral + burned. */
export interface Supply {
  readonly claimedGrains: Grains;
  readonly escrowGrains: Grains;
  readonly collateralGrains: Grains;
  readonly burnedGrains: Grains;
}

/** Ledger time. */
export interface Clock {
  readonly period: number;
  /** Ledger time at which the period began. */
  readonly periodStartedMs: number;
  readonly liveContracts: number;
  /** The bucket of due contracts that is worked off, and the position in it. */
  readonly duePeriod: number;
  readonly dueIndex: number;
}

/** Who votes in an epoch. */
export interface Committee {
  readonly seats: readonly Seat[];
}

/** A table of the state: rows of one kind. */
export interface Table<Id extends string, Row> {
  readonly name: string;
  readonly codec: Codec<Row>;
  /** Only for the type checker: ties a table to the kind of id that keys it. */
  readonly id?: Id;
}

function table<Id extends string, Row extends object>(
  name: string,
  fields: Record<keyof Row, unknown>,
): Table<Id, Row> {
  return { name, codec: P.struct(fields as Parameters<typeof P.struct>[0]) as unknown as Codec<Row> };
}

export const ACCOUNTS = table<AccountId, Account>('account', { balanceGrains: grainsCodec, nonce: safeU64 });

export const TPMS = table<EkId, Tpm>('tpm', {
  ownerId: accountIdCodec,
  nodeId: nodeIdCodec,
  denominationGrains: grainsCodec,
  claimedHeight: safeU64,
});

export const NODES = table<NodeId, NodeEntry>('node', {
  ekId: ekIdCodec,
  ownerId: accountIdCodec,
  addresses: boundedList(8, boundedText(255)),
  storageOffer: optional(storageOfferCodec),
  announcedHeight: safeU64,
});

const rootCodec = P.struct({ fromPeriod: P.U32BE, revision: P.U32BE, root: hashCodec, leafCount: P.U32BE });

export const CONTRACTS = table<ContractId, StorageContract>('contract', {
  renterId: accountIdCodec,
  hostEkId: ekIdCodec,
  hostAccountId: accountIdCodec,
  priceGrainsPerGiBPeriod: grainsCodec,
  egressGrainsPerGiB: grainsCodec,
  startPeriod: P.U32BE,
  endPeriod: P.U32BE,
  escrowGrains: grainsCodec,
  collateralGrains: grainsCodec,
  revision: P.U32BE,
  roots: boundedList(16, rootCodec),
  nextPeriod: P.U32BE,
  missedInARow: P.U32BE,
  missedPeriods: P.U32BE,
  paidPeriods: P.U32BE,
  egressBytes: safeU64,
  paidStorageGrains: grainsCodec,
  paidEgressGrains: grainsCodec,
  penaltyGrains: grainsCodec,
  openedHeight: safeU64,
});

/** The live contract of a renter with a host: there is at most one. */
export const PAIRS = table<`${AccountId}.${EkId}`, { readonly contractId: ContractId }>('pair', {
  contractId: contractIdCodec,
});

export const SUPPLY = table<'supply', Supply>('supply', {
  claimedGrains: grainsCodec,
  escrowGrains: grainsCodec,
  collateralGrains: grainsCodec,
  burnedGrains: grainsCodec,
});

export const CLOCK = table<'clock', Clock>('clock', {
  period: P.U32BE,
  periodStartedMs: safeU64,
  liveContracts: safeU64,
  duePeriod: P.U32BE,
  dueIndex: P.U32BE,
});

export const COMMITTEES = table<string, Committee>('committee', {
  seats: boundedList(64, seatCodec),
});

export const BEACONS = table<string, { readonly beacon: Hash }>('beacon', { beacon: hashCodec });

/** Where the ledger stands in the sequence of committees. */
export interface Epoch {
  readonly epoch: number;
  /** Ledger time from which its length counts. */
  readonly startedMs: number;
}

/** A TPM whose owner takes part in consensus, or did until lately. */
export interface SeatEntry {
  readonly bondGrains: Grains;
  readonly renewedMs: number;
  /** Where it is in the pool; absent when it left or was not renewed. */
  readonly place: number | undefined;
  readonly leftMs: number | undefined;
}

export const EPOCH = table<'epoch', Epoch>('epoch', { epoch: safeU64, startedMs: safeU64 });
export const SEATS = table<EkId, SeatEntry>('seat', {
  bondGrains: grainsCodec,
  renewedMs: safeU64,
  place: optional(P.U32BE),
  leftMs: optional(safeU64),
});
export const SEAT_POOL = table<'pool', { readonly count: number }>('seat-pool', { count: P.U32BE });
export const SEAT_PLACES = table<string, { readonly ekId: EkId }>('seat-place', { ekId: ekIdCodec });
/** TPMs that signed contradicting votes. */
export const TOMBSTONES = table<EkId, { readonly height: number }>('tombstone', { height: safeU64 });

/** Contracts by the period in which they must be looked at: a count a period, and the entries by position. */
export const DUE_COUNTS = table<string, { readonly count: number }>('due-count', { count: P.U32BE });
export const DUE = table<string, { readonly contractId: ContractId }>('due', { contractId: contractIdCodec });

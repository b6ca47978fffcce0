import type { Block } from '../../../ledger/block.ts';
import { toHex } from '../../../ledger/bytes.ts';
import { encode } from '../../../ledger/codec.ts';
import type { AccountId, ContractId, TransactionId } from '../../../ledger/ids.ts';
import type { TracedEvent } from '../../../ledger/state/apply.ts';
import { CONTRACTS, type StorageContract } from '../../../ledger/state/entities.ts';
import type { Payment } from '../../../ledger/state/events.ts';
import { transactionId as idOf } from '../../../ledger/transaction.ts';
import { jsonBytes, sortable } from './ledger-database.ts';
import type { IndexChanges } from './ledger-store.ts';

/** What people ask about the past, kept beside the state: derived from blocks and their events, so it can be rebuilt. */

/** Where a final transaction stands. `tx/<id>` */
export interface TransactionPlace {
  readonly height: number;
  readonly index: number;
}

/** Sums of what an account earned and paid as a host, in decimal grains. */
export interface EarningSums {
  readonly storageGrains: string;
  readonly egressGrains: string;
  readonly feeGrains: string;
  readonly penaltyGrains: string;
}

/** One movement of money of an account. */
export interface HistoryEntry {
  readonly height: number;
  readonly timestampMs: number;
  readonly transactionId: TransactionId | undefined;
  readonly reason: Payment['reason'];
  readonly direction: 'in' | 'out';
  readonly otherId: AccountId | undefined;
  readonly amountGrains: string;
  readonly contractId: ContractId | undefined;
  readonly period: number | undefined;
  readonly memo: string | undefined;
}

/**
 * A `HistoryEntry` as it is stored: half of what a ledger keeps, so height and direction stand in the key alone,
 * `history/<account>/<height>.<n><i or o>`, and what is absent at the end is left out.
 */
export type StoredHistory = readonly [
  timestampMs: number,
  reason: Payment['reason'],
  amountGrains: string,
  otherId?: AccountId | null,
  transactionId?: TransactionId | null,
  memo?: string | null,
  contractId?: ContractId | null,
  period?: number | null,
];

/** Reads an entry; `place`: what stands in the key behind the account. */
export function historyEntry(place: string, stored: StoredHistory): HistoryEntry {
  const [timestampMs, reason, amountGrains, otherId, transactionId, memo, contractId, period] = stored;
  return {
    height: Number(place.slice(0, place.indexOf('.'))),
    timestampMs,
    transactionId: transactionId ?? undefined,
    reason,
    direction: place.endsWith('i') ? 'in' : 'out',
    otherId: otherId ?? undefined,
    amountGrains,
    contractId: contractId ?? undefined,
    period: period ?? undefined,
    memo: memo ?? undefined,
  };
}

/** A contract that was opened, live or over. `contract/<id>` */
export interface ContractEntry {
  readonly contractId: ContractId;
  readonly renterId: AccountId;
  readonly hostAccountId: AccountId;
  readonly openedHeight: number;
  /** Sort position: `<height>.<n>`. */
  readonly place: string;
  readonly lastSettledHeight: number | undefined;
  /** How it ended, and its last row, encoded, in hex. */
  readonly ended:
    | { readonly how: 'expired' | 'failed' | 'closed'; readonly height: number; readonly row: string }
    | undefined;
}

/** The first block of a period. `period/<n>` */
export interface PeriodEntry {
  readonly period: number;
  readonly height: number;
  readonly startedMs: number;
}

const NO_SUMS: EarningSums = { storageGrains: '0', egressGrains: '0', feeGrains: '0', penaltyGrains: '0' };

type IndexReader = <T>(key: string) => T | undefined;

/** Gathers index entries over the blocks of one commit. */
export class IndexBatch {
  readonly #read: IndexReader;
  readonly #writes = new Map<string, unknown>();

  constructor(read: IndexReader) {
    this.#read = read;
  }

  #get<T>(key: string): T | undefined {
    return this.#writes.has(key) ? (this.#writes.get(key) as T) : this.#read<T>(key);
  }

  addBlock(block: Block, events: readonly TracedEvent[]): void {
    const { height, timestampMs } = block.header;
    const memos = new Map<TransactionId, string>();
    for (const [index, transaction] of block.transactions.entries()) {
      const transactionId = idOf(transaction);
      this.#writes.set(`tx/${transactionId}`, { height, index } satisfies TransactionPlace);
      if (transaction.body.kind === 'transfer' && transaction.body.memo !== '')
        memos.set(transactionId, transaction.body.memo);
    }
    let n = 0;
    for (const { transactionId, event } of events) {
      const place = `${sortable(height)}.${sortable(n++, 6)}`;
      switch (event.kind) {
        case 'payment':
          this.#addPayment(place, event, {
            timestampMs,
            transactionId,
            memo: transactionId && memos.get(transactionId),
          });
          break;
        case 'period':
          this.#writes.set(`period/${sortable(event.period, 10)}`, {
            period: event.period,
            height,
            startedMs: timestampMs,
          } satisfies PeriodEntry);
          break;
        case 'contract-opened': {
          const { renterId, hostAccountId } = event.contract;
          const entry: ContractEntry = {
            contractId: event.contractId,
            renterId,
            hostAccountId,
            openedHeight: height,
            place,
            lastSettledHeight: undefined,
            ended: undefined,
          };
          this.#writes.set(`contract/${event.contractId}`, entry);
          this.#writes.set(`contracts/${place}`, event.contractId);
          for (const account of new Set([renterId, hostAccountId])) {
            this.#writes.set(`contracts-of/${account}/${place}`, event.contractId);
            this.#writes.set(`live-of/${account}/${event.contractId}`, event.contractId);
          }
          break;
        }
        case 'period-paid':
        case 'period-missed': {
          const entry = this.#get<ContractEntry>(`contract/${event.contractId}`);
          if (entry !== undefined && event.kind === 'period-paid') {
            this.#writes.set(`contract/${event.contractId}`, { ...entry, lastSettledHeight: height });
          }
          this.#writes.set(`contract-period/${event.contractId}/${sortable(event.period, 10)}`, {
            period: event.period,
            height,
            transactionId,
            result: event.kind === 'period-paid' ? event.by : 'missed',
          });
          break;
        }
        case 'contract-ended': {
          const entry = this.#get<ContractEntry>(`contract/${event.contractId}`);
          if (entry !== undefined) {
            const row = toHex(encode(CONTRACTS.codec, event.contract, 'a contract'));
            this.#writes.set(`contract/${event.contractId}`, {
              ...entry,
              ended: { how: event.how, height, row },
            });
          }
          for (const account of new Set([event.contract.renterId, event.contract.hostAccountId])) {
            this.#writes.set(`live-of/${account}/${event.contractId}`, undefined);
          }
          break;
        }
        case 'claimed':
        case 'rebound':
        case 'announced':
        case 'contract-revised':
        case 'convicted':
        case 'epoch':
          break;
        default:
          event satisfies never;
      }
    }
  }

  /**
   * A live contract as a snapshot brings it, whose past was not seen here: how it began, and what it has paid its host so
   * far. `n`: another number for each.
   */
  adoptContract(contractId: ContractId, contract: StorageContract, n: number): void {
    const { renterId, hostAccountId, openedHeight } = contract;
    if (this.#get(`contract/${contractId}`) === undefined) {
      // Behind whatever was seen of that height.
      const place = `${sortable(openedHeight)}.s${sortable(n, 9)}`;
      this.#writes.set(`contract/${contractId}`, {
        contractId,
        renterId,
        hostAccountId,
        openedHeight,
        place,
        lastSettledHeight: undefined,
        ended: undefined,
      } satisfies ContractEntry);
      this.#writes.set(`contracts/${place}`, contractId);
      for (const account of new Set([renterId, hostAccountId])) {
        this.#writes.set(`contracts-of/${account}/${place}`, contractId);
        this.#writes.set(`live-of/${account}/${contractId}`, contractId);
      }
    }
    const known = this.#get<EarningSums>(`earned-contract/${hostAccountId}/${contractId}`) ?? NO_SUMS;
    const paid = {
      storageGrains: contract.paidStorageGrains,
      egressGrains: contract.paidEgressGrains,
      penaltyGrains: contract.penaltyGrains,
    };
    for (const [part, amount] of Object.entries(paid) as [keyof typeof paid, bigint][])
      this.#addEarning(hostAccountId, part, amount - BigInt(known[part]), contractId, undefined);
  }

  #addPayment(
    place: string,
    payment: Payment,
    at: {
      timestampMs: number;
      transactionId: TransactionId | undefined;
      memo: string | undefined;
    },
  ): void {
    const { from, to, reason, amountGrains, contractId, period } = payment;
    // Storage and egress come out of the escrow, penalties out of the collateral: those balances moved before.
    const leftBalance =
      reason === 'transfer' || reason === 'escrow' || reason === 'collateral' || reason === 'bond';
    const { timestampMs, transactionId, memo } = at;
    const entry = (otherId: AccountId | undefined): StoredHistory => {
      const fields = [
        timestampMs,
        reason,
        amountGrains.toString(),
        otherId,
        transactionId,
        memo,
        contractId,
        period,
      ];
      while (fields.at(-1) === undefined) fields.pop();
      return fields as unknown as StoredHistory;
    };
    if (to !== undefined) this.#writes.set(`history/${to}/${place}i`, entry(from));
    if (from !== undefined && leftBalance) this.#writes.set(`history/${from}/${place}o`, entry(to));
    if (to !== undefined && (reason === 'storage' || reason === 'egress' || reason === 'fee')) {
      this.#addEarning(to, `${reason}Grains`, amountGrains, contractId, period);
    }
    if (from !== undefined && reason === 'penalty')
      this.#addEarning(from, 'penaltyGrains', amountGrains, contractId, period);
  }

  #addEarning(
    account: AccountId,
    part: keyof EarningSums,
    amount: bigint,
    contractId: ContractId | undefined,
    period: number | undefined,
  ): void {
    const keys = [`earned/${account}`];
    if (period !== undefined) keys.push(`earned-period/${account}/${sortable(period, 10)}`);
    if (contractId !== undefined) keys.push(`earned-contract/${account}/${contractId}`);
    for (const key of keys) {
      const sums = this.#get<EarningSums>(key) ?? NO_SUMS;
      this.#writes.set(key, { ...sums, [part]: (BigInt(sums[part]) + amount).toString() });
    }
  }

  *changes(): IndexChanges {
    for (const [key, value] of this.#writes) yield [key, value === undefined ? undefined : jsonBytes(value)];
  }
}

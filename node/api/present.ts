import type { BlockHeader } from '../../ledger/block.ts';
import { toHex } from '../../ledger/bytes.ts';
import { decode } from '../../ledger/codec.ts';
import {
  type AccountId,
  accountAddress,
  type BlockId,
  type ContractId,
  type NodeId,
  nodeAddress,
} from '../../ledger/ids.ts';
import { FRAGMENT_BYTES, LEAVES_PER_FRAGMENT } from '../../ledger/merkle.ts';
import { newestRoot } from '../../ledger/state/contract-terms.ts';
import { CONTRACTS, type StorageContract, TPMS } from '../../ledger/state/entities.ts';
import type { StorageOffer } from '../../ledger/storage-formats.ts';
import { type Transaction, transactionId } from '../../ledger/transaction.ts';
import type { ContractEntry, EarningSums, HistoryEntry } from '../ledger/store/ledger-index.ts';
import type { BlocktreeNode } from '../node.ts';
import type { BlockJson, ContractJson, TransactionJson } from './schema/ledger.ts';

/** Domain values as the API shows them. */

export const time = (ms: number): string => new Date(ms).toISOString();

export function presentBlock(
  id: BlockId,
  header: BlockHeader,
  transactionCount: number | undefined,
  status: BlockJson['status'],
): BlockJson {
  const { height, epoch, view, parentId, txRoot, stateRoot } = header;
  return {
    id,
    height,
    epoch,
    view,
    parentId,
    timestamp: time(header.timestampMs),
    proposer: nodeAddress(header.proposer),
    txRoot,
    stateRoot,
    transactionCount: transactionCount ?? null,
    pruned: transactionCount === undefined,
    status,
  };
}

/** Any value of a transaction's body: bytes as hex, amounts as decimal text, long leaves left out. */
function plain(value: unknown, key = ''): unknown {
  if (typeof value === 'bigint') return value.toString();
  if (value instanceof Uint8Array) return toHex(value);
  if (Array.isArray(value))
    return key === 'leaves' ? `${value.length} leaves with paths` : value.map((entry) => plain(entry));
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([name, entry]) => [name, plainField(name, entry)]));
  }
  return value ?? null;
}

const ACCOUNT_FIELDS = new Set(['to', 'renterId', 'sender']);

function plainField(name: string, value: unknown): unknown {
  if (typeof value === 'string' && ACCOUNT_FIELDS.has(name)) return accountAddress(value as AccountId);
  if (typeof value === 'string' && /odeId$/.test(name)) return nodeAddress(value as NodeId);
  return plain(value, name);
}

export function presentTransaction(
  transaction: Transaction,
  at: { readonly height: number; readonly timestampMs: number } | undefined,
): TransactionJson {
  const { kind, ...body } = transaction.body;
  return {
    id: transactionId(transaction),
    kind,
    sender: accountAddress(transaction.sender),
    nonce: transaction.nonce,
    feeGrains: transaction.feeGrains.toString(),
    status: at === undefined ? 'waiting' : 'final',
    height: at?.height ?? null,
    timestamp: at === undefined ? null : time(at.timestampMs),
    body: plain(body) as Record<string, unknown>,
  };
}

export function presentOffer(offer: StorageOffer) {
  return {
    ...offer,
    priceGrainsPerGiBPeriod: offer.priceGrainsPerGiBPeriod.toString(),
    egressGrainsPerGiB: offer.egressGrainsPerGiB.toString(),
  };
}

export function presentHistory(entry: HistoryEntry) {
  return {
    height: entry.height,
    timestamp: time(entry.timestampMs),
    reason: entry.reason,
    direction: entry.direction,
    amountGrains: entry.amountGrains,
    otherId: entry.otherId === undefined ? null : accountAddress(entry.otherId),
    transactionId: entry.transactionId ?? null,
    contractId: entry.contractId ?? null,
    period: entry.period ?? null,
    memo: entry.memo ?? null,
  };
}

/** A contract, live from the state or over from the index; `undefined` when there never was one. */
export function presentContract(node: BlocktreeNode, id: ContractId): ContractJson | undefined {
  const { chain } = node;
  const entry = chain.store.index<ContractEntry>(`contract/${id}`);
  if (entry === undefined) return undefined;
  const live = chain.state.read(CONTRACTS, id);
  const { ended } = entry;
  const contract: StorageContract | undefined =
    live ??
    (ended === undefined ? undefined : decode(CONTRACTS.codec, Buffer.from(ended.row, 'hex'), 'a contract'));
  if (contract === undefined) return undefined;
  const { proofWindow } = chain.rules.parameters;
  const hostNodeId = chain.state.read(TPMS, contract.hostEkId)?.nodeId;
  return {
    id,
    state:
      live !== undefined
        ? 'active'
        : ended?.how === 'failed'
          ? 'failed'
          : ended?.how === 'closed'
            ? 'closed'
            : 'ended',
    renterId: accountAddress(contract.renterId),
    hostAccountId: accountAddress(contract.hostAccountId),
    hostNodeId: hostNodeId === undefined ? null : nodeAddress(hostNodeId),
    sizeBytes: (newestRoot(contract).leafCount / LEAVES_PER_FRAGMENT) * FRAGMENT_BYTES,
    priceGrainsPerGiBPeriod: contract.priceGrainsPerGiBPeriod.toString(),
    egressGrainsPerGiB: contract.egressGrainsPerGiB.toString(),
    startPeriod: contract.startPeriod,
    endPeriod: contract.endPeriod,
    nextPeriod: contract.nextPeriod,
    provableUntilPeriod: contract.nextPeriod + proofWindow,
    revision: contract.revision,
    escrowGrains: (live === undefined ? 0n : contract.escrowGrains).toString(),
    collateralGrains: (live === undefined ? 0n : contract.collateralGrains).toString(),
    paidStorageGrains: contract.paidStorageGrains.toString(),
    paidEgressGrains: contract.paidEgressGrains.toString(),
    penaltyGrains: contract.penaltyGrains.toString(),
    paidPeriods: contract.paidPeriods,
    missedPeriods: contract.missedPeriods,
    missedInARow: contract.missedInARow,
    openedHeight: contract.openedHeight,
    lastSettledHeight: entry.lastSettledHeight ?? null,
    endedHeight: ended?.height ?? null,
  };
}

/** Sums as the API gives them; relay is not built and earns nothing. */
export function presentSums(sums: EarningSums | undefined) {
  const { storageGrains = '0', egressGrains = '0', feeGrains = '0', penaltyGrains = '0' } = sums ?? {};
  const total = BigInt(storageGrains) + BigInt(egressGrains) + BigInt(feeGrains) - BigInt(penaltyGrains);
  return {
    totalGrains: total.toString(),
    storageGrains,
    egressGrains,
    relayGrains: '0',
    feeGrains,
    penaltyGrains,
  };
}

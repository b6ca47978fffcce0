import { textOf, utf8 } from '../ledger/bytes.ts';
import type { Parameters } from '../ledger/genesis.ts';
import type { AccountId, ChainId, ContractId, Hash, NodeId } from '../ledger/ids.ts';
import type { StorageContract } from '../ledger/state/entities.ts';
import type { LeafProof, StorageOffer, StorageRevision, StorageTerms } from '../ledger/storage-formats.ts';
import type { TransactionBody } from '../ledger/transaction.ts';
import type { Frames } from './files/frames.ts';

/** What the market needs of the world; the node provides it. */

/** A small database. Reads are immediate, writes are durable when they resolve. */
export interface KeyValues {
  get(key: string): Uint8Array | undefined;
  write(changes: readonly { readonly key: string; readonly value: Uint8Array | undefined }[]): Promise<void>;
  /** In the order of keys: those behind `after`, `limit` of them at most. */
  range(
    prefix: string,
    part?: { readonly after?: string; readonly limit?: number },
  ): Promise<readonly { readonly key: string; readonly value: Uint8Array }[]>;
}

export interface LiveContract {
  readonly id: ContractId;
  readonly contract: StorageContract;
}

/** A node that offers storage. */
export interface OfferingNode {
  readonly nodeId: NodeId;
  readonly ownerId: AccountId;
  readonly addresses: readonly string[];
  readonly offer: StorageOffer;
  /** In the committee of the epoch. */
  readonly member: boolean;
}

/** The ledger as the market sees it: the newest final state. */
export interface MarketLedger {
  readonly chainId: ChainId;
  readonly parameters: Parameters;
  readonly accountId: AccountId;
  readonly nodeId: NodeId;
  /** The period of the newest final block. */
  period(): number;
  /** How far the period has run, 0 to 1, by the local clock. */
  periodProgress(): number;
  beacon(period: number): Hash | undefined;
  balanceGrains(accountId: AccountId): bigint;
  contract(id: ContractId): StorageContract | undefined;
  /** The live contract of `renterId` with the chip behind `hostNodeId`. */
  contractBetween(renterId: AccountId, hostNodeId: NodeId): LiveContract | undefined;
  /** Live contracts in which this account is the renter, or the host. */
  contractsOf(role: 'renter' | 'host'): Promise<readonly LiveContract[]>;
  /** The node that hosts a contract now. */
  hostNodeOf(contract: StorageContract): NodeId;
  offers(): Promise<readonly OfferingNode[]>;
  /** What a node offers now. */
  offerOf(nodeId: NodeId): StorageOffer | undefined;
  ownOffer(): StorageOffer | undefined;
}

/** Sends transactions of the own account; resolves when final, rejects with a coded error. */
export interface MarketWallet {
  submit(body: TransactionBody): Promise<{ readonly transactionId: string; readonly height: number }>;
}

export interface Receipt {
  readonly contractId: ContractId;
  readonly throughPeriod: number;
  readonly revision: number;
  readonly egressBytes: number;
  readonly renterSignature: Uint8Array;
}

/** What a renter leaves with its hosts; they cannot read it. */
export interface SealedNote {
  /** Rises with every note of a renter. */
  readonly sequence: number;
  readonly bytes: Uint8Array;
}

/** Requests to a host. Errors carry the code of the host, or of the network. */
export interface HostLink {
  reachable(host: NodeId): boolean;
  storeFragment(host: NodeId, root: Hash, bytes: Uint8Array): Promise<void>;
  /** All frames are the fragment itself, fewer come as `sealFrames` gives them; as the host sent it. */
  fetchFragment(host: NodeId, root: Hash, frames: Frames): Promise<Uint8Array>;
  signTerms(host: NodeId, terms: StorageTerms, added: readonly Hash[]): Promise<Uint8Array>;
  signRevision(
    host: NodeId,
    revision: StorageRevision,
    added: readonly Hash[],
    removed: readonly Hash[],
  ): Promise<Uint8Array>;
  signClose(host: NodeId, contractId: ContractId, egressBytes: number): Promise<Uint8Array>;
  challenge(
    host: NodeId,
    contractId: ContractId,
    revision: number,
    leaves: readonly number[],
  ): Promise<readonly LeafProof[]>;
  deliverReceipt(host: NodeId, receipt: Receipt): Promise<void>;
  keepNote(host: NodeId, note: SealedNote): Promise<void>;
  fetchNote(host: NodeId): Promise<SealedNote>;
  /** Fragments of the newest revision of a contract from a place in its list on, as many as fit into an answer. */
  listFragments(host: NodeId, contractId: ContractId, from: number): Promise<readonly Hash[]>;
}

/** JSON in and out of a small database. */
export function readJson<T>(store: KeyValues, key: string): T | undefined {
  const bytes = store.get(key);
  return bytes === undefined ? undefined : (JSON.parse(textOf(bytes)) as T);
}

export function jsonValue(value: unknown): Uint8Array {
  return utf8(JSON.stringify(value));
}

import * as P from 'micro-packed';
import {
  accountIdCodec,
  boundedBytes,
  boundedList,
  boundedText,
  type Codec,
  chainIdCodec,
  contractIdCodec,
  decode,
  ekIdCodec,
  encode,
  grainsCodec,
  hashCodec,
  nodeIdCodec,
  onCurve,
  optional,
  safeU64,
  signatureCodec,
  tagged,
} from './codec.ts';
import { type Vote, voteCodec } from './consensus/votes.ts';
import { sign, signingDigest } from './crypto/secp256k1.ts';
import { sha256 } from './crypto/sha256.ts';
import { LedgerError } from './errors.ts';
import { type Grains, grains } from './grains.ts';
import {
  type AccountId,
  type ChainId,
  type ContractId,
  type EkId,
  type Hash,
  hashId,
  idBytes,
  type NodeId,
  type TransactionId,
} from './ids.ts';
import { LEAF_BYTES } from './merkle.ts';

/** Transactions: formats and signatures. What they do is in `state/`, one file an operation. */

export const TRANSACTION_BYTES_MAX = 65_536;
const CHALLENGES_MAX = 16;
const PROOF_PERIODS_MAX = 8;
const MERKLE_PATH_MAX = 40;

/** What a TPM says of itself and its issuer of it; see `tpm/`. */
export interface ClaimStatement {
  /** 260 bytes signed by an issuer. */
  readonly endorsement: Uint8Array;
  /** `TPMS_ATTEST` of a quote. */
  readonly attest: Uint8Array;
  /** 64 bytes r ‖ s, low-S, by the attestation key. */
  readonly attestSignature: Uint8Array;
  readonly nodeId: NodeId;
  /** 64 bytes by the node key over chain, account and endorsement: nobody binds another's node key. */
  readonly nodeSignature: Uint8Array;
}

/** What a host asks and gives. */
export interface StorageOffer {
  readonly priceGrainsPerGiBPeriod: Grains;
  readonly egressGrainsPerGiB: Grains;
  /** Collateral that the host locks, as a percentage of the storage price of the whole contract. */
  readonly collateralPercent: number;
  readonly freeBytes: number;
  readonly periodsMin: number;
  readonly periodsMax: number;
}

/** What renter and host agree on when a contract opens. */
export interface StorageTerms {
  readonly hostNodeId: NodeId;
  readonly priceGrainsPerGiBPeriod: Grains;
  readonly egressGrainsPerGiB: Grains;
  readonly root: Hash;
  /** Leaves of 1 KiB under `root`; a multiple of 1,024. */
  readonly leafCount: number;
  readonly startPeriod: number;
  /** The last period that is paid. */
  readonly endPeriod: number;
  readonly escrowGrains: Grains;
  readonly collateralGrains: Grains;
}

/** A new root, a longer life, or more money for a contract. */
export interface StorageRevision {
  readonly contractId: ContractId;
  /** Strictly rises. */
  readonly revision: number;
  readonly root: Hash;
  readonly leafCount: number;
  readonly endPeriod: number;
  readonly addedEscrowGrains: Grains;
  readonly addedCollateralGrains: Grains;
}

/** The renter's word that the host kept the data through a period. */
export interface StorageReceipt {
  readonly revision: number;
  /** Bytes served since the contract opened. */
  readonly egressBytes: number;
  readonly renterSignature: Uint8Array;
}

/** One challenged leaf and its path to the contract's root, leaf level first. */
export interface LeafProof {
  readonly leaf: Uint8Array;
  readonly path: readonly Hash[];
}

/** The leaves that the beacon asked for in one period, in challenge order. */
export interface PeriodProof {
  readonly period: number;
  readonly leaves: readonly LeafProof[];
}

export type SettleEvidence =
  | ({ readonly kind: 'receipt' } & StorageReceipt)
  | { readonly kind: 'proofs'; readonly periods: readonly PeriodProof[] };

export type TransactionBody =
  | ({ readonly kind: 'claim' } & ClaimStatement)
  | ({ readonly kind: 'rebind'; readonly ekId: EkId } & ClaimStatement)
  | {
      readonly kind: 'transfer';
      readonly to: AccountId;
      readonly amountGrains: Grains;
      readonly memo: string;
    }
  | {
      readonly kind: 'announce';
      readonly nodeId: NodeId;
      readonly addresses: readonly string[];
      readonly storageOffer: StorageOffer | undefined;
    }
  | ({ readonly kind: 'storage.open'; readonly hostSignature: Uint8Array } & StorageTerms)
  | ({ readonly kind: 'storage.revise'; readonly hostSignature: Uint8Array } & StorageRevision)
  | {
      readonly kind: 'storage.settle';
      readonly contractId: ContractId;
      readonly throughPeriod: number;
      readonly evidence: SettleEvidence;
    }
  | {
      readonly kind: 'storage.close';
      readonly contractId: ContractId;
      readonly egressBytes: number;
      readonly renterSignature: Uint8Array;
      readonly hostSignature: Uint8Array;
    }
  /** Enters or renews the validators' pool with a TPM, or leaves it. */
  | { readonly kind: 'seat'; readonly ekId: EkId; readonly action: 'enter' | 'leave' }
  /** Two votes of one member that contradict. */
  | { readonly kind: 'misconduct'; readonly first: Vote; readonly second: Vote };

export type TransactionKind = TransactionBody['kind'];
export type BodyOf<Kind extends TransactionKind> = Extract<TransactionBody, { kind: Kind }>;

export interface UnsignedTransaction {
  readonly chainId: ChainId;
  readonly sender: AccountId;
  /** Strictly the account's next: the number of its transactions so far. */
  readonly nonce: number;
  readonly feeGrains: Grains;
  readonly body: TransactionBody;
}

export interface Transaction extends UnsignedTransaction {
  readonly signature: Uint8Array;
}

const statementFields = {
  endorsement: boundedBytes(1, 512),
  attest: boundedBytes(1, 512),
  attestSignature: signatureCodec,
  nodeId: onCurve(nodeIdCodec),
  nodeSignature: signatureCodec,
};

const offerCodec = P.struct({
  priceGrainsPerGiBPeriod: grainsCodec,
  egressGrainsPerGiB: grainsCodec,
  collateralPercent: P.U16BE,
  freeBytes: safeU64,
  periodsMin: P.U32BE,
  periodsMax: P.U32BE,
}) as Codec<StorageOffer>;

export { offerCodec as storageOfferCodec };

const termsFields = {
  hostNodeId: nodeIdCodec,
  priceGrainsPerGiBPeriod: grainsCodec,
  egressGrainsPerGiB: grainsCodec,
  root: hashCodec,
  leafCount: P.U32BE,
  startPeriod: P.U32BE,
  endPeriod: P.U32BE,
  escrowGrains: grainsCodec,
  collateralGrains: grainsCodec,
};

const revisionFields = {
  contractId: contractIdCodec,
  revision: P.U32BE,
  root: hashCodec,
  leafCount: P.U32BE,
  endPeriod: P.U32BE,
  addedEscrowGrains: grainsCodec,
  addedCollateralGrains: grainsCodec,
};

const leafProofCodec = P.struct({ leaf: P.bytes(LEAF_BYTES), path: boundedList(MERKLE_PATH_MAX, hashCodec) });
const evidenceCodec = tagged({
  receipt: [1, P.struct({ revision: P.U32BE, egressBytes: safeU64, renterSignature: signatureCodec })],
  proofs: [
    2,
    P.struct({
      periods: boundedList(
        PROOF_PERIODS_MAX,
        P.struct({ period: P.U32BE, leaves: boundedList(CHALLENGES_MAX, leafProofCodec) }),
      ),
    }),
  ],
});

const bodyCodec = tagged({
  claim: [1, P.struct(statementFields)],
  rebind: [2, P.struct({ ekId: ekIdCodec, ...statementFields })],
  transfer: [3, P.struct({ to: onCurve(accountIdCodec), amountGrains: grainsCodec, memo: boundedText(64) })],
  announce: [
    4,
    P.struct({
      nodeId: nodeIdCodec,
      addresses: boundedList(8, boundedText(255)),
      storageOffer: optional(offerCodec),
    }),
  ],
  'storage.open': [5, P.struct({ ...termsFields, hostSignature: signatureCodec })],
  'storage.revise': [6, P.struct({ ...revisionFields, hostSignature: signatureCodec })],
  'storage.settle': [
    7,
    P.struct({ contractId: contractIdCodec, throughPeriod: P.U32BE, evidence: evidenceCodec }),
  ],
  'storage.close': [
    8,
    P.struct({
      contractId: contractIdCodec,
      egressBytes: safeU64,
      renterSignature: signatureCodec,
      hostSignature: signatureCodec,
    }),
  ],
  seat: [
    9,
    P.struct({
      ekId: ekIdCodec,
      action: P.map(P.U8, { enter: 1, leave: 2 }) as Codec<'enter' | 'leave'>,
    }),
  ],
  misconduct: [10, P.struct({ first: voteCodec, second: voteCodec })],
}) as unknown as Codec<TransactionBody>;

const unsignedFields = {
  version: P.magicBytes(Uint8Array.of(1)),
  chainId: chainIdCodec,
  sender: accountIdCodec,
  nonce: safeU64,
  feeGrains: grainsCodec,
  body: bodyCodec,
};
const unsignedCodec = P.struct(unsignedFields) as unknown as Codec<
  UnsignedTransaction & { version?: undefined }
>;
const transactionCodec = P.struct({ ...unsignedFields, signature: signatureCodec }) as unknown as Codec<
  Transaction & { version?: undefined }
>;

/**
 * The bytes of transactions that were read or written before, and their ids: a transaction is a value, and pool, block,
 * log, index and peers all ask for them.
 */
const encodings = new WeakMap<UnsignedTransaction, { readonly bytes: Uint8Array; id?: TransactionId }>();

/** The signed bytes; not to be changed. Throws LedgerError `malformed` or `oversized`. */
export function encodeTransaction(transaction: Transaction): Uint8Array {
  const known = encodings.get(transaction);
  if (known !== undefined) return known.bytes;
  const bytes = encode(transactionCodec, { ...transaction, version: undefined }, 'transaction');
  if (bytes.length > TRANSACTION_BYTES_MAX) throw oversized(bytes.length);
  encodings.set(transaction, { bytes });
  return bytes;
}

/**
 * Reads exactly one transaction, and keeps `bytes`, which must not change. Does not check the signature.
 * Throws LedgerError `malformed` or `oversized`.
 */
export function decodeTransaction(bytes: Uint8Array): Transaction {
  if (bytes.length > TRANSACTION_BYTES_MAX) throw oversized(bytes.length);
  const { chainId, sender, nonce, feeGrains, body, signature } = decode(
    transactionCodec,
    bytes,
    'a transaction',
  );
  const transaction: Transaction = { chainId, sender, nonce, feeGrains, body, signature };
  encodings.set(transaction, { bytes });
  return transaction;
}

function oversized(length: number): LedgerError {
  return new LedgerError(
    'oversized',
    `expected a transaction of at most ${TRANSACTION_BYTES_MAX} bytes, got ${length}`,
  );
}

function unsignedBytes(transaction: UnsignedTransaction): Uint8Array {
  const { chainId, sender, nonce, feeGrains, body } = transaction;
  return encode(
    unsignedCodec,
    { version: undefined, chainId, sender, nonce, feeGrains, body },
    'transaction',
  );
}

/** sha256 of the unsigned bytes: signatures never enter an id. */
export function transactionId(transaction: UnsignedTransaction): TransactionId {
  const known = encodings.get(transaction);
  if (known === undefined) return hashId<TransactionId>(sha256(unsignedBytes(transaction)));
  known.id ??= transactionIdOfBytes(known.bytes);
  return known.id;
}

/** The id of encoded signed bytes: everything but the last 64. */
export function transactionIdOfBytes(encoded: Uint8Array): TransactionId {
  return hashId<TransactionId>(sha256(encoded.subarray(0, encoded.length - 64)));
}

/** The 32 bytes that the sender signs. */
export function transactionDigest(encoded: Uint8Array): Uint8Array {
  return signingDigest('transaction', encoded.subarray(0, encoded.length - 64));
}

/** Signs with the sender's 32-byte secret key. */
export function signTransaction(transaction: UnsignedTransaction, secretKey: Uint8Array): Transaction {
  return {
    ...transaction,
    signature: sign(signingDigest('transaction', unsignedBytes(transaction)), secretKey),
  };
}

/** The least fee of a transaction of `bytes` signed bytes: the floor for every begun KiB. */
export function feeFloor(bytes: number, feeFloorGrainsPerKiB: Grains): Grains {
  return grains(BigInt(Math.ceil(bytes / 1_024)) * feeFloorGrainsPerKiB);
}

/** What the node key signs when a TPM is bound to it. */
export function bindingDigest(chainId: ChainId, accountId: AccountId, endorsement: Uint8Array): Uint8Array {
  return signingDigest('binding', idBytes(chainId), idBytes(accountId), sha256(endorsement));
}

/** What the host's node key signs before a renter opens a contract. */
export function termsDigest(chainId: ChainId, renter: AccountId, terms: StorageTerms): Uint8Array {
  const codec = P.struct(termsFields) as Codec<StorageTerms>;
  return signingDigest(
    'terms',
    idBytes(chainId),
    idBytes(renter),
    encode(codec, pick(terms, termsFields), 'terms'),
  );
}

/** What the host's node key signs before a renter revises a contract. */
export function revisionDigest(chainId: ChainId, revision: StorageRevision): Uint8Array {
  const codec = P.struct(revisionFields) as Codec<StorageRevision>;
  return signingDigest(
    'revision',
    idBytes(chainId),
    encode(codec, pick(revision, revisionFields), 'revision'),
  );
}

/** What the renter's account key signs when it agrees that a contract was kept through a period. */
export function receiptDigest(
  chainId: ChainId,
  receipt: { contractId: ContractId; throughPeriod: number; revision: number; egressBytes: number },
): Uint8Array {
  return signingDigest(
    'receipt',
    idBytes(chainId),
    idBytes(receipt.contractId),
    P.U32BE.encode(receipt.throughPeriod),
    P.U32BE.encode(receipt.revision),
    safeU64.encode(receipt.egressBytes),
  );
}

/** What renter (account key) and host (node key) sign to end a contract now. */
export function closeDigest(chainId: ChainId, contractId: ContractId, egressBytes: number): Uint8Array {
  return signingDigest('close', idBytes(chainId), idBytes(contractId), safeU64.encode(egressBytes));
}

/** Only the fields of a format: an object with more (a whole body, say) may be passed. */
function pick<Fields extends object, T extends Record<keyof Fields, unknown>>(value: T, fields: Fields): T {
  return Object.fromEntries(Object.keys(fields).map((key) => [key, value[key as keyof Fields]])) as T;
}

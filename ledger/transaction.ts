import * as P from 'micro-packed';
import {
  accountIdCodec,
  boundedBytes,
  boundedList,
  boundedText,
  type Codec,
  chainIdCodec,
  decode,
  ekIdCodec,
  encode,
  grainsCodec,
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
  type EkId,
  hashId,
  idBytes,
  type NodeId,
  type TransactionId,
} from './ids.ts';
import {
  closeCodec,
  openCodec,
  reviseCodec,
  type StorageBody,
  type StorageOffer,
  settleCodec,
  storageOfferCodec,
} from './storage-formats.ts';

/** Transactions: formats and signatures; those of storage are in `storage-formats.ts`. What they do is in `state/`, one file an operation. */

export const TRANSACTION_BYTES_MAX = 65_536;
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
  | StorageBody
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

const bodyCodec = tagged({
  claim: [1, P.struct(statementFields)],
  rebind: [2, P.struct({ ekId: ekIdCodec, ...statementFields })],
  transfer: [3, P.struct({ to: onCurve(accountIdCodec), amountGrains: grainsCodec, memo: boundedText(64) })],
  announce: [
    4,
    P.struct({
      nodeId: nodeIdCodec,
      addresses: boundedList(8, boundedText(255)),
      storageOffer: optional(storageOfferCodec),
    }),
  ],
  'storage.open': [5, openCodec],
  'storage.revise': [6, reviseCodec],
  'storage.settle': [7, settleCodec],
  'storage.close': [8, closeCodec],
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

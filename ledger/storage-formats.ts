import * as P from 'micro-packed';
import {
  boundedList,
  type Codec,
  contractIdCodec,
  encode,
  grainsCodec,
  hashCodec,
  nodeIdCodec,
  safeU64,
  signatureCodec,
  tagged,
} from './codec.ts';
import { signingDigest } from './crypto/secp256k1.ts';
import type { Grains } from './grains.ts';
import { type AccountId, type ChainId, type ContractId, type Hash, idBytes, type NodeId } from './ids.ts';
import { LEAF_BYTES } from './merkle.ts';

/** What renter and host of a storage contract tell the ledger and each other: formats, and what is signed. */

const CHALLENGES_MAX = 16;
const PROOF_PERIODS_MAX = 8;
const MERKLE_PATH_MAX = 40;

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

export type StorageBody =
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
    };

export const storageOfferCodec = P.struct({
  priceGrainsPerGiBPeriod: grainsCodec,
  egressGrainsPerGiB: grainsCodec,
  collateralPercent: P.U16BE,
  freeBytes: safeU64,
  periodsMin: P.U32BE,
  periodsMax: P.U32BE,
}) as Codec<StorageOffer>;

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

export const termsCodec = P.struct(termsFields) as Codec<StorageTerms>;
export const revisionCodec = P.struct(revisionFields) as Codec<StorageRevision>;

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

export const openCodec = P.struct({ ...termsFields, hostSignature: signatureCodec });
export const reviseCodec = P.struct({ ...revisionFields, hostSignature: signatureCodec });
export const settleCodec = P.struct({
  contractId: contractIdCodec,
  throughPeriod: P.U32BE,
  evidence: evidenceCodec,
});
export const closeCodec = P.struct({
  contractId: contractIdCodec,
  egressBytes: safeU64,
  renterSignature: signatureCodec,
  hostSignature: signatureCodec,
});

/** What the host's node key signs before a renter opens a contract. */
export function termsDigest(chainId: ChainId, renter: AccountId, terms: StorageTerms): Uint8Array {
  return signingDigest(
    'terms',
    idBytes(chainId),
    idBytes(renter),
    encode(termsCodec, pick(terms, termsFields), 'terms'),
  );
}

/** What the host's node key signs before a renter revises a contract. */
export function revisionDigest(chainId: ChainId, revision: StorageRevision): Uint8Array {
  return signingDigest(
    'revision',
    idBytes(chainId),
    encode(revisionCodec, pick(revision, revisionFields), 'revision'),
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

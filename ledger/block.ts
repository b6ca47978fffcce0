import * as P from 'micro-packed';
import { concat, utf8 } from './bytes.ts';
import {
  blockIdCodec,
  type Codec,
  chainIdCodec,
  decode,
  encode,
  hashCodec,
  nodeIdCodec,
  safeU64,
} from './codec.ts';
import { sha256 } from './crypto/sha256.ts';
import { LedgerError } from './errors.ts';
import type { Genesis, Seat } from './genesis.ts';
import { chainIdOf } from './genesis.ts';
import { type BlockId, type ChainId, type Hash, hashId, idBytes, type NodeId, ZERO_HASH } from './ids.ts';
import { leafHash, merkleRoot } from './merkle.ts';
import { atOnce, type Steps } from './steps.ts';
import { decodeTransaction, encodeTransaction, type Transaction } from './transaction.ts';

export const BLOCK_BYTES_MAX = 1_048_576;

export interface BlockHeader {
  readonly chainId: ChainId;
  readonly epoch: number;
  /** The consensus view in which it was proposed. */
  readonly view: number;
  readonly height: number;
  readonly parentId: BlockId;
  readonly timestampMs: number;
  /** The leader of the view; fees go to the account of its seat. */
  readonly proposer: NodeId;
  /** RFC 6962 root over the signed transactions, in order. */
  readonly txRoot: Hash;
  /** Commitment to all state after this block. */
  readonly stateRoot: Hash;
  /** In the last block of an epoch the hash of the next committee; zero elsewhere. */
  readonly nextCommitteeHash: Hash;
}

export interface Block {
  readonly header: BlockHeader;
  readonly transactions: readonly Transaction[];
}

const versionedHeaderCodec = P.struct({
  version: P.magicBytes(Uint8Array.of(1)),
  chainId: chainIdCodec,
  epoch: safeU64,
  view: safeU64,
  height: safeU64,
  parentId: blockIdCodec,
  timestampMs: safeU64,
  proposer: nodeIdCodec,
  txRoot: hashCodec,
  stateRoot: hashCodec,
  nextCommitteeHash: hashCodec,
}) as unknown as Codec<BlockHeader & { version?: undefined }>;

/** Size of an encoded header in bytes. */
export const HEADER_BYTES = 1 + 32 + 8 + 8 + 8 + 32 + 8 + 33 + 32 + 32 + 32;

/** 226 bytes. */
export function encodeHeader(header: BlockHeader): Uint8Array {
  return encode(versionedHeaderCodec, { ...header, version: undefined }, 'header');
}

/** Throws LedgerError `malformed`. */
export function decodeHeader(bytes: Uint8Array): BlockHeader {
  const { version: _, ...header } = decode(versionedHeaderCodec, bytes, 'a block header');
  return header;
}

/** A header inside another format. */
export const headerCodec: Codec<BlockHeader> = P.apply(P.bytes(HEADER_BYTES), {
  encode: (bytes: Uint8Array) => decodeHeader(bytes),
  decode: (header: BlockHeader) => encodeHeader(header),
});

/** sha256 of the encoded header. */
export function blockIdOf(header: BlockHeader): BlockId {
  return hashId<BlockId>(sha256(encodeHeader(header)));
}

const bodyCodec = P.array(P.U32BE, P.bytes(P.U32BE));

/** Header, then a u32 count and the transactions, each with its u32 length. */
export function encodeBlock(block: Block): Uint8Array {
  return concat(
    encodeHeader(block.header),
    encode(bodyCodec, block.transactions.map(encodeTransaction), 'block'),
  );
}

/**
 * Reads a block and checks that the body is the one the header names. Signatures are not checked.
 * Throws LedgerError `malformed`, `oversized`, `bad-block`.
 */
export function decodeBlock(bytes: Uint8Array): Block {
  return atOnce(decodeBlockInSteps(bytes));
}

/** Transactions that are read in one step. */
const STEP_TRANSACTIONS = 256;

/** `decodeBlock` in short steps, between which the caller may do something else. */
export function* decodeBlockInSteps(bytes: Uint8Array): Steps<Block> {
  if (bytes.length > BLOCK_BYTES_MAX) {
    throw new LedgerError(
      'oversized',
      `expected a block of at most ${BLOCK_BYTES_MAX} bytes, got ${bytes.length}`,
    );
  }
  const header = decodeHeader(bytes.subarray(0, HEADER_BYTES));
  const encoded = decode(bodyCodec, bytes.subarray(HEADER_BYTES), 'the transactions of a block');
  const transactions: Transaction[] = [];
  for (const one of encoded) {
    transactions.push(decodeTransaction(one));
    if (transactions.length % STEP_TRANSACTIONS === 0) yield undefined;
  }
  if (txRootOf(encoded) !== header.txRoot)
    throw new LedgerError('bad-block', 'the transactions are not those of the header');
  return { header, transactions };
}

/** How many transactions an encoded block has. The block was checked before: nothing else of it is read. */
export function transactionCountOf(bytes: Uint8Array): number {
  return new DataView(bytes.buffer, bytes.byteOffset).getUint32(HEADER_BYTES);
}

/** The transaction at `index` of an encoded block that was checked before, without reading the others. */
export function transactionAt(bytes: Uint8Array, index: number): Transaction | undefined {
  if (index < 0 || index >= transactionCountOf(bytes)) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  let at = HEADER_BYTES + 4;
  for (let i = 0; i < index; i++) at += 4 + view.getUint32(at);
  return decodeTransaction(bytes.subarray(at + 4, at + 4 + view.getUint32(at)));
}

/** RFC 6962 root over encoded signed transactions: signatures too, so that a block id stands for exactly one body. */
export function txRootOf(encoded: readonly Uint8Array[]): Hash {
  return hashId<Hash>(merkleRoot(encoded.map((bytes) => leafHash(bytes))));
}

/** sha256(u16 n ‖ (seatId ‖ public key)* sorted by seatId). The order of `seats` does not matter. */
export function committeeHash(seats: readonly Seat[]): Hash {
  const sorted = [...seats].sort((a, b) => (a.seatId < b.seatId ? -1 : 1));
  return hashId<Hash>(
    sha256(
      P.U16BE.encode(sorted.length),
      ...sorted.flatMap((seat) => [idBytes(seat.seatId), idBytes(seat.nodeId), idBytes(seat.accountId)]),
    ),
  );
}

/** The header that the first block extends: height 0, no transactions, the state of genesis. */
export function genesisHeader(genesis: Genesis, stateRoot: Hash): BlockHeader {
  return {
    chainId: chainIdOf(genesis),
    epoch: 0,
    view: 0,
    height: 0,
    parentId: ZERO_HASH as string as BlockId,
    timestampMs: genesis.timestampMs,
    proposer: (genesis.committee[0] as Seat).nodeId,
    txRoot: txRootOf([]),
    stateRoot,
    nextCommitteeHash: committeeHash(genesis.committee),
  };
}

/** beacon(p) = sha256("beacon" ‖ parentId ‖ u64 p): fixed by the first block of a period, unknown before its parent. */
export function beaconOf(parentId: BlockId, period: number): Hash {
  return hashId<Hash>(sha256(utf8('beacon'), idBytes(parentId), safeU64.encode(period)));
}

import * as P from 'micro-packed';
import { type BlockHeader, decodeHeader, encodeHeader, HEADER_BYTES } from '../block.ts';
import {
  blockIdCodec,
  boundedList,
  type Codec,
  decode,
  encode,
  nodeIdCodec,
  optional,
  safeU64,
  signatureCodec,
  tagged,
  transactionIdCodec,
} from '../codec.ts';
import type { BlockId, NodeId, TransactionId } from '../ids.ts';

/** What committee members say to each other, and the records they keep of it. Formats are strict and bounded. */

export const SEATS_MAX = 64;
export const NULLIFICATIONS_MAX = 64;
export const VIEWS_ASKED_MAX = 32;
const TRANSACTION_IDS_MAX = 2_000;

/** What a notarize or finalize vote is for. */
export interface Position {
  readonly view: number;
  readonly parentView: number;
  readonly height: number;
  readonly blockId: BlockId;
}

export type VoteType = 'notarize' | 'nullify' | 'finalize';

export interface Vote {
  readonly type: VoteType;
  readonly epoch: number;
  readonly view: number;
  /** Absent exactly for `nullify`. */
  readonly position: Position | undefined;
  readonly signer: NodeId;
  readonly signature: Uint8Array;
}

/** A quorum of votes of one type for one thing: Notarization, Nullification or Finalization. */
export interface Certificate {
  readonly type: VoteType;
  readonly epoch: number;
  readonly view: number;
  readonly position: Position | undefined;
  /** A bit a seat in the order of seat ids, most significant bit first. */
  readonly bitmap: Uint8Array;
  /** One a set bit, in order. */
  readonly signatures: readonly Uint8Array[];
}

/** A leader's proposal. It justifies itself: the parent's Notarization and the Nullifications between. */
export interface Proposal {
  readonly epoch: number;
  readonly position: Position;
  readonly header: BlockHeader;
  readonly transactionIds: readonly TransactionId[];
  readonly parentCertificate: Certificate | undefined;
  readonly nullifications: readonly Certificate[];
  /** The leader's notarize vote. */
  readonly signature: Uint8Array;
}

export interface Status {
  readonly epoch: number;
  readonly finalView: number;
  readonly finalization: Certificate | undefined;
  /** What let the sender into its view. */
  readonly entry: Certificate | undefined;
}

export type ConsensusMessage =
  | ({ readonly kind: 'proposal' } & Proposal)
  | { readonly kind: 'vote'; readonly vote: Vote }
  | { readonly kind: 'certificate'; readonly certificate: Certificate }
  | ({ readonly kind: 'status' } & Status)
  | { readonly kind: 'get-certificates'; readonly epoch: number; readonly views: readonly number[] };

/** What is kept in the write-ahead log: own votes, and certificates above the final block. */
export type LogRecord =
  | { readonly kind: 'vote'; readonly vote: Vote }
  | { readonly kind: 'certificate'; readonly certificate: Certificate };

const positionCodec = P.struct({
  view: safeU64,
  parentView: safeU64,
  height: safeU64,
  blockId: blockIdCodec,
}) as Codec<Position>;

const typeCodec = P.map(P.U8, { notarize: 1, nullify: 2, finalize: 3 }) as Codec<VoteType>;

/** A nullification is for a view, everything else for a position in it. */
function coherent<T extends Pick<Vote, 'type' | 'view' | 'position'>>(codec: Codec<T>): Codec<T> {
  return P.validate(codec, (value: T) => {
    if ((value.type === 'nullify') !== (value.position === undefined))
      throw new Error('a position exactly where one is voted for');
    if (value.position !== undefined && value.position.view !== value.view)
      throw new Error('a position of that view');
    return value;
  });
}

const voteCodec = coherent(
  P.struct({
    type: typeCodec,
    epoch: safeU64,
    view: safeU64,
    position: optional(positionCodec),
    signer: nodeIdCodec,
    signature: signatureCodec,
  }) as unknown as Codec<Vote>,
);

const certificateCodec = coherent(
  P.struct({
    type: typeCodec,
    epoch: safeU64,
    view: safeU64,
    position: optional(positionCodec),
    bitmap: P.validate(P.bytes(P.U8), (bytes: Uint8Array) => {
      if (bytes.length < 1 || bytes.length > SEATS_MAX / 8) throw new Error('a bitmap of 1 to 8 bytes');
      return bytes;
    }),
    signatures: boundedList(SEATS_MAX, signatureCodec),
  }) as unknown as Codec<Certificate>,
);

const headerCodec: Codec<BlockHeader> = P.apply(P.bytes(HEADER_BYTES), {
  encode: (bytes: Uint8Array) => decodeHeader(bytes),
  decode: (header: BlockHeader) => encodeHeader(header),
});

const messageCodec = tagged({
  proposal: [
    1,
    P.struct({
      epoch: safeU64,
      position: positionCodec,
      header: headerCodec,
      transactionIds: boundedList(TRANSACTION_IDS_MAX, transactionIdCodec),
      parentCertificate: optional(certificateCodec),
      nullifications: boundedList(NULLIFICATIONS_MAX, certificateCodec),
      signature: signatureCodec,
    }),
  ],
  vote: [2, P.struct({ vote: voteCodec })],
  certificate: [3, P.struct({ certificate: certificateCodec })],
  status: [
    4,
    P.struct({
      epoch: safeU64,
      finalView: safeU64,
      finalization: optional(certificateCodec),
      entry: optional(certificateCodec),
    }),
  ],
  'get-certificates': [5, P.struct({ epoch: safeU64, views: boundedList(VIEWS_ASKED_MAX, safeU64) })],
}) as unknown as Codec<ConsensusMessage>;

const recordCodec = tagged({
  vote: [1, P.struct({ vote: voteCodec })],
  certificate: [2, P.struct({ certificate: certificateCodec })],
}) as unknown as Codec<LogRecord>;

/** Throws LedgerError `malformed`. */
export const encodeMessage = (message: ConsensusMessage): Uint8Array =>
  encode(messageCodec, message, 'consensus message');
/** Throws LedgerError `malformed`. */
export const decodeMessage = (bytes: Uint8Array): ConsensusMessage =>
  decode(messageCodec, bytes, 'a consensus message');
/** Throws LedgerError `malformed`. */
export const encodeRecord = (record: LogRecord): Uint8Array => encode(recordCodec, record, 'log record');
/** Throws LedgerError `malformed`. */
export const decodeRecord = (bytes: Uint8Array): LogRecord => decode(recordCodec, bytes, 'a log record');
/** Throws LedgerError `malformed`. */
export const encodeCertificate = (certificate: Certificate): Uint8Array =>
  encode(certificateCodec, certificate, 'certificate');
/** Throws LedgerError `malformed`. */
export const decodeCertificate = (bytes: Uint8Array): Certificate =>
  decode(certificateCodec, bytes, 'a certificate');

/** Positions are equal in all parts or not at all: a vote for one says nothing of another. */
export function positionKey({ view, parentView, height, blockId }: Position): string {
  return `${view}.${parentView}.${height}.${blockId}`;
}

/** The bytes that votes for a position sign. */
export function positionBytes(position: Position): Uint8Array {
  return positionCodec.encode(position);
}

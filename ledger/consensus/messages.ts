import * as P from 'micro-packed';
import { type BlockHeader, headerCodec } from '../block.ts';
import {
  boundedList,
  type Codec,
  decode,
  encode,
  optional,
  safeU64,
  signatureCodec,
  tagged,
  transactionIdCodec,
} from '../codec.ts';
import type { TransactionId } from '../ids.ts';
import {
  type Certificate,
  certificateCodec,
  type Position,
  positionCodec,
  type Vote,
  voteCodec,
} from './votes.ts';

/** What committee members say to each other, and the records they keep of it. Formats are strict and bounded. */

export const NULLIFICATIONS_MAX = 64;
export const VIEWS_ASKED_MAX = 32;
export const ECHOED_VOTES_MAX = 64;
const TRANSACTION_IDS_MAX = 2_000;

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
  /** The sender just started and asks every member what it heard from it before. */
  readonly recovering: boolean;
}

/** What a member heard from one that just started: the votes of it that it knows, and how far the others are. */
export interface Echo {
  readonly epoch: number;
  readonly votes: readonly Vote[];
  readonly finalization: Certificate | undefined;
  readonly entry: Certificate | undefined;
}

export type ConsensusMessage =
  | ({ readonly kind: 'proposal' } & Proposal)
  | { readonly kind: 'vote'; readonly vote: Vote }
  | { readonly kind: 'certificate'; readonly certificate: Certificate }
  | ({ readonly kind: 'status' } & Status)
  | ({ readonly kind: 'echo' } & Echo)
  | { readonly kind: 'get-certificates'; readonly epoch: number; readonly views: readonly number[] };

/** What is kept in the write-ahead log: own votes, and certificates above the final block. */
export type LogRecord =
  | { readonly kind: 'vote'; readonly vote: Vote }
  | { readonly kind: 'certificate'; readonly certificate: Certificate };

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
      recovering: P.bool,
    }),
  ],
  echo: [
    6,
    P.struct({
      epoch: safeU64,
      votes: boundedList(ECHOED_VOTES_MAX, voteCodec),
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

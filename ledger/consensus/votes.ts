import * as P from 'micro-packed';
import {
  blockIdCodec,
  boundedList,
  type Codec,
  nodeIdCodec,
  optional,
  safeU64,
  signatureCodec,
} from '../codec.ts';
import type { BlockId, NodeId } from '../ids.ts';

/** Votes and the certificates that a quorum of them makes. */

export const SEATS_MAX = 64;

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

export const positionCodec = P.struct({
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

export const voteCodec = coherent(
  P.struct({
    type: typeCodec,
    epoch: safeU64,
    view: safeU64,
    position: optional(positionCodec),
    signer: nodeIdCodec,
    signature: signatureCodec,
  }) as unknown as Codec<Vote>,
);

export const certificateCodec = coherent(
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

/** Positions are equal in all parts or not at all: a vote for one says nothing of another. */
export function positionKey({ view, parentView, height, blockId }: Position): string {
  return `${view}.${parentView}.${height}.${blockId}`;
}

/** Whether two votes of one member in one view contradict: an honest node never signs both. */
export function conflicting(a: Vote, b: Vote): boolean {
  if (a.signer !== b.signer || a.epoch !== b.epoch || a.view !== b.view) return false;
  if (a.position !== undefined && b.position !== undefined)
    return a.type === b.type && positionKey(a.position) !== positionKey(b.position);
  return a.type !== b.type && (a.type === 'finalize' || b.type === 'finalize');
}

/** The bytes that votes for a position sign. */
export function positionBytes(position: Position): Uint8Array {
  return positionCodec.encode(position);
}

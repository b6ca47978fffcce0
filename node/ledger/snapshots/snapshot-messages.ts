import * as P from 'micro-packed';
import {
  blockIdCodec,
  boundedList,
  type Codec,
  decode,
  encode,
  hashCodec,
  optional,
  safeU64,
} from '../../../ledger/codec.ts';
import type { KeyRange } from '../../../ledger/commitment/range-proof.ts';
import { type Boundary, boundaryCodec } from '../../../ledger/consensus/trust-chain.ts';
import type { BlockId } from '../../../ledger/ids.ts';
import { type CertifiedHeader, certifiedCodec } from '../store/finality.ts';

/** What nodes say to each other to hand a state over. */

/** Boundaries of one answer: some 10 KiB each with 64 seats. */
export const BOUNDARIES_MAX = 64;
export const STATES_MAX = 4;
export const STATES_REQUEST_BYTES_MAX = 8;
export const CHUNK_REQUEST_BYTES_MAX = 128;

/** Which states a node has at hand, each proven, and how to get to their committees from that of an epoch. */
export interface States {
  readonly boundaries: readonly Boundary[];
  readonly states: readonly CertifiedHeader[];
}

/** One piece of the state after a block. */
export interface ChunkRequest extends KeyRange {
  readonly blockId: BlockId;
}

const statesRequest = P.struct({ fromEpoch: safeU64 });
const statesAnswer = P.struct({
  boundaries: boundedList(BOUNDARIES_MAX, boundaryCodec),
  states: boundedList(STATES_MAX, certifiedCodec),
}) as unknown as Codec<States>;
const chunkRequest = P.struct({
  blockId: blockIdCodec,
  from: hashCodec,
  to: optional(hashCodec),
}) as unknown as Codec<ChunkRequest>;

export const encodeStatesRequest = (fromEpoch: number): Uint8Array =>
  encode(statesRequest, { fromEpoch }, 'a request for states');
/** Throws LedgerError `malformed`. */
export const decodeStatesRequest = (bytes: Uint8Array): number =>
  decode(statesRequest, bytes, 'a request for states').fromEpoch;
export const encodeStates = (states: States): Uint8Array => encode(statesAnswer, states, 'states');
/** Throws LedgerError `malformed`. */
export const decodeStates = (bytes: Uint8Array): States => decode(statesAnswer, bytes, 'states');
export const encodeChunkRequest = (request: ChunkRequest): Uint8Array =>
  encode(chunkRequest, request, 'a request for a chunk');
/** Throws LedgerError `malformed`. */
export const decodeChunkRequest = (bytes: Uint8Array): ChunkRequest =>
  decode(chunkRequest, bytes, 'a request for a chunk');

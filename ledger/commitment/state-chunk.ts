import * as P from 'micro-packed';
import { boundedList, boundedText, type Codec, decode, encode, hashCodec, optional } from '../codec.ts';
import { LedgerError } from '../errors.ts';
import type { Hash } from '../ids.ts';
import { keyHashOf, valueHashOf } from './node-hash.ts';
import { type KeyRange, verifyRange } from './range-proof.ts';

/** A piece of the state that proves itself: all rows between two keys of the commitment tree, and the pages at its ends. */

/** Bytes of an encoded chunk. */
export const CHUNK_BYTES_MAX = 1_048_576;
/** Two ways down the tree of at most 64 pages each. */
const PAGES_MAX = 128;
/** A page of 16 leaves. */
const PAGE_BYTES_MAX = 4 + 16 * 64;
export const CHUNK_ROWS_MAX = 32_768;
/** Room that the ends of a chunk take at most in a tree of real depth (2 × 10 pages). */
export const CHUNK_ROWS_BYTES_MAX = CHUNK_BYTES_MAX - 20 * (PAGE_BYTES_MAX + 16);

export interface StateRow {
  readonly key: string;
  readonly row: Uint8Array;
}

export interface StateChunk extends KeyRange {
  /** In the order of their key hashes. */
  readonly rows: readonly StateRow[];
  readonly pages: readonly { readonly path: string; readonly page: Uint8Array }[];
}

const chunkCodec = P.struct({
  from: hashCodec,
  to: optional(hashCodec),
  rows: boundedList(CHUNK_ROWS_MAX, P.struct({ key: boundedText(255), row: P.bytes(P.U32BE) })),
  pages: boundedList(PAGES_MAX, P.struct({ path: boundedText(64), page: P.bytes(P.U16BE) })),
}) as unknown as Codec<StateChunk>;

/** Bytes that a row takes in a chunk. */
export function chunkRowBytes({ key, row }: StateRow): number {
  return key.length + row.length + 6;
}

/** Throws LedgerError `malformed`. */
export function encodeChunk(chunk: StateChunk): Uint8Array {
  return encode(chunkCodec, chunk, 'a chunk of state');
}

/**
 * Reads a chunk and checks that it is complete under `root`: nothing missing, nothing added, nothing changed between its
 * two keys. Throws LedgerError `malformed`, `oversized`, `bad-path`.
 */
export function verifyChunk(root: Hash, bytes: Uint8Array): StateChunk {
  if (bytes.length > CHUNK_BYTES_MAX)
    throw new LedgerError('oversized', `expected a chunk of at most ${CHUNK_BYTES_MAX} bytes`);
  const chunk = decode(chunkCodec, bytes, 'a chunk of state');
  if (chunk.to !== undefined && chunk.to <= chunk.from)
    throw new LedgerError('malformed', 'expected a chunk that ends behind its beginning');
  verifyRange(
    root,
    chunk,
    chunk.rows.map(({ key, row }) => ({ keyHash: keyHashOf(key), valueHash: valueHashOf(row) })),
    new Map(chunk.pages.map(({ path, page }) => [path, page])),
  );
  return chunk;
}

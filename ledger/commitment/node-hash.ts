import { sha256, sha256Into, sha256OfText } from '../crypto/sha256.ts';

/**
 * The state commitment: a binary hash tree over 256-bit keys in which a subtree with a single leaf is that leaf (the
 * shape of the Jellyfish Merkle tree, Gao, Hu and Wu 2021, and of the compact sparse tree of Dahlberg, Pulls and
 * Peeters 2016). Its root is a function of the set of rows alone, and absence is provable.
 */

/** A subtree: nothing, one leaf, or more. */
export type Subtree =
  | { readonly kind: 'empty' }
  | {
      readonly kind: 'leaf';
      readonly keyHash: Uint8Array;
      readonly valueHash: Uint8Array;
      readonly hash: Uint8Array;
    }
  | { readonly kind: 'inner'; readonly hash: Uint8Array };

export const LEAF_TAG = 2;
export const INNER_TAG = 3;
const EMPTY_HASH = new Uint8Array(32);
/** tag ‖ 32 bytes ‖ 32 bytes, filled anew for every hash: a commit makes tens of thousands. */
const scratch = new Uint8Array(65);

export const EMPTY: Subtree = { kind: 'empty' };

/** The position of a state key: 32 bytes. */
export function keyHashOf(stateKey: string): Uint8Array {
  return sha256OfText(stateKey);
}

/** The hash of an encoded row: 32 bytes. */
export function valueHashOf(row: Uint8Array): Uint8Array {
  return sha256(row);
}

/** A subtree of one row. */
export function leaf(keyHash: Uint8Array, valueHash: Uint8Array): Subtree {
  return { kind: 'leaf', keyHash, valueHash, hash: hashPair(LEAF_TAG, keyHash, valueHash) };
}

/** 32 bytes; zero for nothing. */
export function hashOf(subtree: Subtree): Uint8Array {
  return subtree.kind === 'empty' ? EMPTY_HASH : subtree.hash;
}

/** sha256(3 ‖ left ‖ right). */
export function innerHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return hashPair(INNER_TAG, left, right);
}

function hashPair(tag: number, first: Uint8Array, second: Uint8Array): Uint8Array {
  const out = new Uint8Array(32);
  hashPairInto(out, 0, tag, first, 0, second, 0);
  return out;
}

/** Writes sha256(tag ‖ 32 bytes of `first` ‖ 32 bytes of `second`) into `out`; each array from the position given. */
export function hashPairInto(
  out: Uint8Array,
  outAt: number,
  tag: number,
  first: Uint8Array,
  firstAt: number,
  second: Uint8Array,
  secondAt: number,
): void {
  scratch[0] = tag;
  for (let i = 0; i < 32; i++) {
    scratch[1 + i] = first[firstAt + i] as number;
    scratch[33 + i] = second[secondAt + i] as number;
  }
  sha256Into(out, outAt, scratch);
}

/** Two halves as one subtree: a lone leaf rises. */
export function join(left: Subtree, right: Subtree): Subtree {
  if (right.kind === 'empty' && left.kind !== 'inner') return left;
  if (left.kind === 'empty' && right.kind !== 'inner') return right;
  return { kind: 'inner', hash: innerHash(hashOf(left), hashOf(right)) };
}

/** Bit `depth` of a key, most significant first. */
export function bitAt(keyHash: Uint8Array, depth: number): 0 | 1 {
  return (((keyHash[depth >> 3] as number) >> (7 - (depth & 7))) & 1) as 0 | 1;
}

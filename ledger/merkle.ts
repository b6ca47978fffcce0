import { concat, equalBytes } from './bytes.ts';
import { sha256, sha256Into } from './crypto/sha256.ts';

/** Merkle trees of the RFC 6962 shape: leaf sha256(0 ‖ data), node sha256(1 ‖ left ‖ right), no duplicated odd nodes. */

const LEAF = Uint8Array.of(0);
const NODE = Uint8Array.of(1);

/** sha256(0 ‖ data). */
export function leafHash(data: Uint8Array): Uint8Array {
  return sha256(LEAF, data);
}

/** sha256(1 ‖ left ‖ right). */
export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(NODE, left, right);
}

/** The largest power of two below `n` (RFC 6962, section 2.1). */
function split(n: number): number {
  return 2 ** Math.floor(Math.log2(n - 1));
}

/** The root over leaf hashes; sha256 of nothing for an empty list. */
export function merkleRoot(leafHashes: readonly Uint8Array[]): Uint8Array {
  if (leafHashes.length === 0) return sha256(concat());
  if (leafHashes.length === 1) return leafHashes[0] as Uint8Array;
  const k = split(leafHashes.length);
  return nodeHash(merkleRoot(leafHashes.slice(0, k)), merkleRoot(leafHashes.slice(k)));
}

/** Whether `leafHash` is leaf `index` of the `leafCount` under `root`; `path` leaf level first, exactly as long as it must be. */
export function verifyMerkleProof(proof: {
  readonly root: Uint8Array;
  readonly leafHash: Uint8Array;
  readonly index: number;
  readonly leafCount: number;
  readonly path: readonly Uint8Array[];
}): boolean {
  if (proof.index < 0 || proof.index >= proof.leafCount) return false;
  let hash = proof.leafHash;
  let index = proof.index;
  let last = proof.leafCount - 1;
  for (const sibling of proof.path) {
    if (last === 0 || sibling.length !== 32) return false;
    if (index % 2 === 1 || index === last) {
      hash = nodeHash(sibling, hash);
      while (index % 2 === 0 && index !== 0) {
        index >>>= 1;
        last >>>= 1;
      }
    } else hash = nodeHash(hash, sibling);
    index >>>= 1;
    last >>>= 1;
  }
  return last === 0 && equalBytes(hash, proof.root);
}

/** The levels of a tree over a power of two of leaves, leaf hashes first, the root alone last. */
export type Levels = readonly (readonly Uint8Array[])[];

/** Bytes of a fragment and of its leaves. */
export const FRAGMENT_BYTES = 1_048_576;
export const LEAF_BYTES = 1_024;
export const LEAVES_PER_FRAGMENT = FRAGMENT_BYTES / LEAF_BYTES;

/** The tree over the 1,024 leaves of one fragment of 1 MiB. */
export function fragmentLevels(fragment: Uint8Array): Levels {
  const scratch = new Uint8Array(LEAF_BYTES + 1);
  let level: Uint8Array[] = [];
  for (let at = 0; at < fragment.length; at += LEAF_BYTES) {
    scratch.set(fragment.subarray(at, at + LEAF_BYTES), 1);
    level.push(sha256(scratch));
  }
  const levels = [level];
  const pair = new Uint8Array(65);
  pair[0] = 1;
  while (level.length > 1) {
    const above: Uint8Array[] = [];
    for (let i = 0; i < level.length; i += 2) {
      pair.set(level[i] as Uint8Array, 1);
      pair.set(level[i + 1] as Uint8Array, 33);
      above.push(sha256(pair));
    }
    level = above;
    levels.push(level);
  }
  return levels;
}

/** The id of a fragment: the root over its leaves. Also that of a part of it, of a power of two of leaves. */
export function fragmentRoot(fragment: Uint8Array): Uint8Array {
  const count = fragment.length / LEAF_BYTES;
  // All hashes in one place, each level over the one before: a fragment has two thousand of them.
  const hashes = new Uint8Array(32 * count);
  const leaf = new Uint8Array(LEAF_BYTES + 1);
  for (let i = 0; i < count; i++) {
    leaf.set(fragment.subarray(i * LEAF_BYTES, (i + 1) * LEAF_BYTES), 1);
    sha256Into(hashes, 32 * i, leaf);
  }
  const pair = new Uint8Array(65);
  pair[0] = 1;
  for (let left = count / 2; left >= 1; left /= 2) {
    for (let i = 0; i < left; i++) {
      pair.set(hashes.subarray(64 * i, 64 * i + 64), 1);
      sha256Into(hashes, 32 * i, pair);
    }
  }
  return hashes.slice(0, 32);
}

/** The path of a leaf in a tree of a power of two of leaves, leaf level first. */
export function pathInLevels(levels: Levels, index: number): readonly Uint8Array[] {
  return levels.slice(0, -1).map((level, depth) => level[(index >> depth) ^ 1] as Uint8Array);
}

/** The path of leaf `index` among leaf hashes (RFC 6962, section 2.1.1), leaf level first. */
export function merklePath(leafHashes: readonly Uint8Array[], index: number): readonly Uint8Array[] {
  if (leafHashes.length <= 1) return [];
  const k = split(leafHashes.length);
  const left = leafHashes.slice(0, k);
  const right = leafHashes.slice(k);
  return index < k
    ? [...merklePath(left, index), merkleRoot(right)]
    : [...merklePath(right, index - k), merkleRoot(left)];
}

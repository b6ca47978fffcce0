import { concat, equalBytes } from './bytes.ts';
import { sha256 } from './crypto/sha256.ts';

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

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { MerkleTree } from 'merkletreejs';
import {
  fragmentLevels,
  fragmentRoot,
  leafHash,
  merklePath,
  merkleRoot,
  nodeHash,
  pathInLevels,
  verifyMerkleProof,
} from './merkle.ts';

const leaves = (count: number, salt = 0) =>
  Array.from({ length: count }, (_, i) => leafHash(Uint8Array.of(i >> 8, i, salt)));

/** RFC 6962 as merkletreejs builds it: hashed leaves, a node hash with its own prefix, odd nodes carried up. */
function oracle(hashes: readonly Uint8Array[]): Uint8Array {
  const hashNode = (data: Buffer) => createHash('sha256').update(Buffer.of(1)).update(data).digest();
  return new MerkleTree(
    hashes.map((hash) => Buffer.from(hash)),
    hashNode,
    { sort: false, duplicateOdd: false },
  ).getRoot();
}

test('roots equal those of merkletreejs for every size', () => {
  for (let count = 1; count <= 130; count++)
    assert.deepEqual(Buffer.from(merkleRoot(leaves(count))), oracle(leaves(count)));
});

test('every leaf is proven by its path and by nothing else', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 200 }), fc.nat(), fc.nat(), (leafCount, a, b) => {
      const hashes = leaves(leafCount);
      const index = a % leafCount;
      const root = merkleRoot(hashes);
      const path = merklePath(hashes, index);
      const proof = { root, leafHash: hashes[index] as Uint8Array, index, leafCount, path };
      assert(verifyMerkleProof(proof));
      const other = b % leafCount;
      if (other !== index) assert(!verifyMerkleProof({ ...proof, index: other }));
      assert(!verifyMerkleProof({ ...proof, path: [...path, root] }));
      if (path.length > 0) assert(!verifyMerkleProof({ ...proof, path: path.slice(1) }));
      assert(!verifyMerkleProof({ ...proof, index: leafCount }));
      assert(!verifyMerkleProof({ ...proof, leafHash: leafHash(Uint8Array.of(9, 9, 9, 9)) }));
    }),
  );
});

test('a contract over fragments is one tree over all their leaves', () => {
  const fragments = [1, 2, 3].map(() => randomBytes(1_048_576));
  const trees = fragments.map((fragment) => fragmentLevels(fragment));
  const roots = fragments.map((fragment) => fragmentRoot(fragment));
  const all = trees.flatMap((levels) => levels[0] as readonly Uint8Array[]);
  const root = merkleRoot(roots);
  assert.deepEqual(root, merkleRoot(all));
  for (const index of [0, 1_023, 1_024, 2_500, 3_071]) {
    const at = Math.floor(index / 1_024);
    const path = [...pathInLevels(trees[at] as (typeof trees)[0], index % 1_024), ...merklePath(roots, at)];
    assert(
      verifyMerkleProof({ root, leafHash: all[index] as Uint8Array, index, leafCount: all.length, path }),
    );
  }
  assert.deepEqual(nodeHash(roots[0] as Uint8Array, roots[1] as Uint8Array), merkleRoot(roots.slice(0, 2)));
});

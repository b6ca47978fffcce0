import { equalBytes } from '../bytes.ts';
import { LedgerError } from '../errors.ts';
import { type Hash, idBytes } from '../ids.ts';
import type { PageReader } from './commitment.ts';
import { pagesTo } from './commitment.ts';
import {
  bitAt,
  EMPTY,
  hashOf,
  innerHash,
  join,
  keyHashOf,
  leaf,
  type Subtree,
  valueHashOf,
} from './node-hash.ts';
import { nibbleAt } from './page.ts';

/** That a row is, or is not, under a state root. */
export interface StateProof {
  /** The leaf found at the end of the way, when another row's: the proof that this one is absent. */
  readonly other: { readonly keyHash: Uint8Array; readonly valueHash: Uint8Array } | undefined;
  /** Hashes of the other halves, root level first; at most 256. */
  readonly siblings: readonly Uint8Array[];
}

/** The proof for `stateKey`, whether the row is there or not. */
export function proveState(readPage: PageReader, stateKey: string): StateProof {
  const keyHash = keyHashOf(stateKey);
  const siblings: Uint8Array[] = [];
  let found: Subtree = EMPTY;
  for (const [depth, page] of pagesTo(readPage, keyHash).entries()) {
    let level: readonly Subtree[] = page;
    const levels: (readonly Subtree[])[] = [level];
    while (level.length > 1) {
      level = Array.from({ length: level.length / 2 }, (_, i) =>
        join(level[2 * i] as Subtree, level[2 * i + 1] as Subtree),
      );
      levels.push(level);
    }
    const nibble = nibbleAt(keyHash, depth);
    found = level[0] as Subtree;
    for (let bits = 3; bits >= 0 && found.kind === 'inner'; bits--) {
      const row = levels[bits] as readonly Subtree[];
      const index = nibble >> bits;
      siblings.push(hashOf(row[index ^ 1] as Subtree));
      found = row[index] as Subtree;
    }
    if (found.kind !== 'inner') break;
  }
  const other =
    found.kind === 'leaf' && !equalBytes(found.keyHash, keyHash)
      ? { keyHash: found.keyHash, valueHash: found.valueHash }
      : undefined;
  return { other, siblings };
}

/**
 * Checks that under `root` the row of `stateKey` is exactly `row`, or absent where `row` is undefined.
 * Throws LedgerError `bad-path`. Runs in browsers.
 */
export function verifyState(
  root: Hash,
  stateKey: string,
  row: Uint8Array | undefined,
  proof: StateProof,
): void {
  const keyHash = keyHashOf(stateKey);
  if (proof.siblings.length > 256) throw new LedgerError('bad-path', 'expected at most 256 siblings');
  const hashes = [...proof.siblings, ...Object.values(proof.other ?? {})];
  if (hashes.some((hash) => hash.length !== 32))
    throw new LedgerError('bad-path', 'expected hashes of 32 bytes');
  let end: Subtree = EMPTY;
  if (row !== undefined) {
    if (proof.other !== undefined)
      throw new LedgerError('bad-path', 'a proof of presence names no other row');
    end = leaf(keyHash, valueHashOf(row));
  } else if (proof.other !== undefined) {
    const { other, siblings } = proof;
    if (equalBytes(other.keyHash, keyHash)) throw new LedgerError('bad-path', 'the other row is this row');
    for (let depth = 0; depth < siblings.length; depth++) {
      if (bitAt(other.keyHash, depth) !== bitAt(keyHash, depth))
        throw new LedgerError('bad-path', 'the other row lies elsewhere');
    }
    end = leaf(other.keyHash, other.valueHash);
  }
  let hash = hashOf(end);
  for (let depth = proof.siblings.length - 1; depth >= 0; depth--) {
    const sibling = proof.siblings[depth] as Uint8Array;
    hash = bitAt(keyHash, depth) === 0 ? innerHash(hash, sibling) : innerHash(sibling, hash);
  }
  if (!equalBytes(hash, idBytes(root)))
    throw new LedgerError('bad-path', 'the path does not lead to the state root');
}

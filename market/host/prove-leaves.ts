import { equalBytes } from '../../ledger/bytes.ts';
import { type Hash, hashId, idBytes } from '../../ledger/ids.ts';
import {
  FRAGMENT_BYTES,
  fragmentLevels,
  LEAF_BYTES,
  LEAVES_PER_FRAGMENT,
  merklePath,
  pathInLevels,
} from '../../ledger/merkle.ts';
import type { LeafProof } from '../../ledger/storage-formats.ts';
import { MarketError } from '../errors.ts';
import type { FragmentList } from '../fragment-list.ts';
import type { FragmentShelf } from './shelf.ts';

/**
 * The leaves at these places of all under a contract, 1 KiB each, and their paths to its root, leaf level first. Throws
 * MarketError `bad-range`, or `not-found` when a fragment is lost or damaged.
 */
export async function proveLeaves(
  list: FragmentList,
  leaves: readonly number[],
  shelf: Pick<FragmentShelf, 'get'>,
): Promise<readonly LeafProof[]> {
  const roots = list.map(idBytes);
  const proofs: LeafProof[] = [];
  for (const leaf of leaves) {
    const at = Math.floor(leaf / LEAVES_PER_FRAGMENT);
    const root = list[at];
    if (root === undefined || leaf < 0)
      throw new MarketError('bad-range', `leaf ${leaf} is not in the contract`);
    const bytes = await shelf.get(root);
    const levels = fragmentLevels(bytes ?? new Uint8Array(FRAGMENT_BYTES));
    if (bytes === undefined || !equalBytes(levels.at(-1)?.[0] as Uint8Array, idBytes(root)))
      throw new MarketError('not-found', 'this host lost a fragment');
    const inside = leaf % LEAVES_PER_FRAGMENT;
    const path = [...pathInLevels(levels, inside), ...merklePath(roots, at)];
    proofs.push({
      leaf: Uint8Array.from(bytes.subarray(inside * LEAF_BYTES, (inside + 1) * LEAF_BYTES)),
      path: path.map((hash) => hashId<Hash>(hash)),
    });
  }
  return proofs;
}

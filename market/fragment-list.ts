import { fromHex, toHex } from '../ledger/bytes.ts';
import { type Hash, hashId, idBytes, ZERO_HASH } from '../ledger/ids.ts';
import { LEAVES_PER_FRAGMENT, merkleRoot } from '../ledger/merkle.ts';
import { MarketError } from './errors.ts';

/** The ordered roots of the fragments of a contract, and what a contract says of them. Both sides keep the same list. */
export type FragmentList = readonly Hash[];

/** Root and leaf count of a contract over a list. */
export function commitmentOf(list: FragmentList): { readonly root: Hash; readonly leafCount: number } {
  if (list.length === 0) return { root: ZERO_HASH, leafCount: 0 };
  return { root: hashId<Hash>(merkleRoot(list.map(idBytes))), leafCount: list.length * LEAVES_PER_FRAGMENT };
}

/** The list after a revision: without the first occurrence of each removed root, the added ones behind. Throws `bad-terms`. */
export function revisedList(list: FragmentList, added: FragmentList, removed: FragmentList): FragmentList {
  const gone = new Map<Hash, number>();
  for (const root of removed) gone.set(root, (gone.get(root) ?? 0) + 1);
  const kept = list.filter((root) => {
    const left = gone.get(root) ?? 0;
    if (left === 0) return true;
    gone.set(root, left - 1);
    return false;
  });
  if (list.length - kept.length !== removed.length)
    throw new MarketError('bad-terms', 'a removed fragment is not in the contract');
  return [...kept, ...added];
}

/** 32 bytes a root. */
export function encodeList(list: FragmentList): Uint8Array {
  return fromHex(list.join('')) as Uint8Array;
}

/** Reads what `encodeList` wrote: a multiple of 32 bytes. */
export function decodeList(bytes: Uint8Array): FragmentList {
  return Array.from(
    { length: bytes.length / 32 },
    (_, i) => toHex(bytes.subarray(32 * i, 32 * i + 32)) as Hash,
  );
}

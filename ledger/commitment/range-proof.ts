import { equalBytes, toHex } from '../bytes.ts';
import { LedgerError } from '../errors.ts';
import { type Hash, idBytes } from '../ids.ts';
import type { PageReader } from './commitment.ts';
import { hashOf, leaf, type Subtree } from './node-hash.ts';
import { decodePage, fold } from './page.ts';
import { TreeBuilder } from './tree-builder.ts';

/**
 * That a list of rows is all there is under a state root between two keys. The proof is the pages that the two ends of
 * the range run through; everything inside the range is rebuilt from the rows, so a gap or an addition changes the root.
 */

/** Keys as 64 hex digits: `from` is in the range, `to` is not; without `to` the range runs to the end. */
export interface KeyRange {
  readonly from: string;
  readonly to: string | undefined;
}

/** A row's place and the hash of its bytes. */
export interface RangeLeaf {
  readonly keyHash: Uint8Array;
  readonly valueHash: Uint8Array;
}

/** Encoded pages by path. */
export type RangePages = ReadonlyMap<string, Uint8Array>;

export const FIRST_KEY = '0'.repeat(64);
const HEX = '0123456789abcdef';

/** How the keys under a path lie to a range. */
function overlap(path: string, { from, to }: KeyRange): 'inside' | 'outside' | 'across' {
  const low = path.padEnd(64, '0');
  const high = path.padEnd(64, 'f');
  if (high < from || (to !== undefined && low >= to)) return 'outside';
  return low >= from && (to === undefined || high < to) ? 'inside' : 'across';
}

function inRange(key: string, { from, to }: KeyRange): boolean {
  return key >= from && (to === undefined || key < to);
}

/** The pages that a range's ends run through. */
export function proveRange(readPage: PageReader, range: KeyRange): RangePages {
  const pages = new Map<string, Uint8Array>();
  const visit = (path: string): void => {
    if (overlap(path, range) !== 'across') return;
    const bytes = readPage(path);
    if (bytes === undefined) return;
    pages.set(path, bytes);
    for (const [nibble, slot] of decodePage(bytes).entries())
      if (slot.kind === 'inner') visit(path + HEX[nibble]);
  };
  visit('');
  return pages;
}

/**
 * Checks that `leaves`, in key order, are exactly those under `root` within the range.
 * Throws LedgerError `bad-path` or `malformed`. Runs in browsers.
 */
export function verifyRange(
  root: Hash,
  range: KeyRange,
  leaves: readonly RangeLeaf[],
  pages: RangePages,
): void {
  const keys = leaves.map(({ keyHash }) => toHex(keyHash));
  for (const [i, key] of keys.entries()) {
    if (!inRange(key, range)) throw new LedgerError('bad-path', 'a row outside the range');
    if (i > 0 && key <= (keys[i - 1] as string)) throw new LedgerError('bad-path', 'rows out of order');
  }
  let next = 0;

  /** Rebuilds what is under a path that lies inside. */
  const rebuild = (path: string): Subtree => {
    const builder = new TreeBuilder(path);
    for (; next < keys.length && (keys[next] as string).startsWith(path); next++) {
      const { keyHash, valueHash } = leaves[next] as RangeLeaf;
      builder.add(keyHash, valueHash);
    }
    return builder.finish();
  };
  /** A slot that an end of the range runs through and that is no page: a leaf belongs to the range or does not. */
  const lone = (slot: Subtree): Subtree => {
    if (slot.kind !== 'leaf' || !inRange(toHex(slot.keyHash), range)) return slot;
    const given = leaves[next];
    if (given === undefined || !equalBytes(given.keyHash, slot.keyHash))
      throw new LedgerError('bad-path', 'a row is missing');
    next++;
    return leaf(given.keyHash, given.valueHash);
  };
  const subtreeAt = (path: string): Subtree => {
    if (overlap(path, range) === 'inside') return rebuild(path);
    const bytes = pages.get(path);
    if (bytes === undefined) throw new LedgerError('bad-path', `the page at "${path}" is missing`);
    return fold(
      decodePage(bytes).map((slot, nibble) => {
        const child = path + HEX[nibble];
        const lies = overlap(child, range);
        if (lies === 'outside') return slot;
        return lies === 'inside' || slot.kind === 'inner' ? subtreeAt(child) : lone(slot);
      }),
    );
  };

  const found = subtreeAt('');
  if (next !== leaves.length) throw new LedgerError('bad-path', 'rows that are not under the state root');
  if (!equalBytes(hashOf(found), idBytes(root)))
    throw new LedgerError('bad-path', 'the rows do not lead to the state root');
}

import { concat } from '../bytes.ts';
import { LedgerError } from '../errors.ts';
import { EMPTY, join, leaf, type Subtree } from './node-hash.ts';

/**
 * Four levels of the tree stored together: 16 slots under a path of nibbles. A slot is empty, holds a leaf, or stands
 * for the page one nibble further. `''` is the path of the root page.
 */
export type Page = readonly Subtree[];

export const SLOTS = 16;
export const EMPTY_PAGE: Page = Array.from({ length: SLOTS }, () => EMPTY);

/** Nibble `depth` of a key, most significant first. */
export function nibbleAt(keyHash: Uint8Array, depth: number): number {
  const byte = keyHash[depth >> 1] as number;
  return depth % 2 === 0 ? byte >> 4 : byte & 15;
}

/** The page as one subtree: what stands in the slot above it. */
export function fold(page: Page): Subtree {
  let level = page;
  while (level.length > 1) {
    const next: Subtree[] = [];
    for (let i = 0; i < level.length; i += 2) next.push(join(level[i] as Subtree, level[i + 1] as Subtree));
    level = next;
  }
  return level[0] as Subtree;
}

/** u16 leaf map, u16 inner map, then the slots in order: leaf key and value hash, or inner hash. */
export function encodePage(page: Page): Uint8Array {
  let leaves = 0;
  let inners = 0;
  const parts: Uint8Array[] = [];
  for (const [i, slot] of page.entries()) {
    if (slot.kind === 'leaf') {
      leaves |= 1 << i;
      parts.push(slot.keyHash, slot.valueHash);
    } else if (slot.kind === 'inner') {
      inners |= 1 << i;
      parts.push(slot.hash);
    }
  }
  return concat(Uint8Array.of(leaves >> 8, leaves & 255, inners >> 8, inners & 255), ...parts);
}

/** Throws LedgerError `malformed`. */
export function decodePage(bytes: Uint8Array): Page {
  const leaves = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
  const inners = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
  let at = 4;
  const take = (): Uint8Array => {
    at += 32;
    return bytes.slice(at - 32, at);
  };
  const page = Array.from({ length: SLOTS }, (_, i): Subtree => {
    if (leaves & (1 << i)) return leaf(take(), take());
    if (inners & (1 << i)) return { kind: 'inner', hash: take() };
    return EMPTY;
  });
  if (at !== bytes.length || (leaves & inners) !== 0)
    throw new LedgerError('malformed', 'expected a page of the state commitment');
  return page;
}

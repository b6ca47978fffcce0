import { compareBytes } from '../bytes.ts';
import { invariant } from '../errors.ts';
import { type Hash, hashId } from '../ids.ts';
import type { StateChanges } from '../state/draft.ts';
import { EMPTY, hashOf, isLeafOf, keyHashOf, leaf, type Subtree, valueHashOf } from './node-hash.ts';
import { decodePage, EMPTY_PAGE, encodePage, fold, nibbleAt, type Page } from './page.ts';

/** Encoded pages by path of nibbles (hex digits); `undefined` removes the page. */
export type PageChanges = ReadonlyMap<string, Uint8Array | undefined>;

/** Reads the encoded page at a path, from a database or an overlay. */
export type PageReader = (path: string) => Uint8Array | undefined;

interface Change {
  readonly keyHash: Uint8Array;
  readonly subtree: Subtree;
}

const HEX = '0123456789abcdef';

/** The root after `changes`, and the pages that it takes. Touches only pages on the way to a changed row. */
export function commit(
  readPage: PageReader,
  changes: StateChanges,
): { readonly root: Hash; readonly pages: PageChanges } {
  const pages = new Map<string, Uint8Array | undefined>();
  const list: Change[] = [];
  for (const [key, row] of changes) {
    const keyHash = keyHashOf(key);
    list.push({ keyHash, subtree: row === undefined ? EMPTY : leaf(keyHash, valueHashOf(row)) });
  }
  list.sort((a, b) => compareBytes(a.keyHash, b.keyHash));
  const root = updatePage(readPage, pages, '', undefined, list);
  // The root page stays, whatever it holds: a tree always has one.
  if (root.kind !== 'inner') {
    const page = [...EMPTY_PAGE];
    if (root.kind === 'leaf') page[nibbleAt(root.keyHash, 0)] = root;
    pages.set('', encodePage(page));
  }
  return { root: hashId<Hash>(hashOf(root)), pages };
}

/**
 * The subtree at `path` after the changes, all of which lie under it. `inherited` is a leaf that stood in the slot above
 * and moves down because more comes under it. Pages with fewer than two rows vanish: their leaf stands in the slot above.
 */
function updatePage(
  readPage: PageReader,
  pages: Map<string, Uint8Array | undefined>,
  path: string,
  inherited: Subtree | undefined,
  changes: readonly Change[],
): Subtree {
  const depth = path.length;
  invariant(depth < 64, 'two rows share a key hash');
  const stored = inherited === undefined ? readPage(path) : undefined;
  const page: Subtree[] = [...(stored === undefined ? EMPTY_PAGE : decodePage(stored))];
  if (inherited?.kind === 'leaf') page[nibbleAt(inherited.keyHash, depth)] = inherited;

  for (let from = 0; from < changes.length; ) {
    const nibble = nibbleAt((changes[from] as Change).keyHash, depth);
    let to = from + 1;
    while (to < changes.length && nibbleAt((changes[to] as Change).keyHash, depth) === nibble) to++;
    page[nibble] = updateSlot(
      readPage,
      pages,
      path + HEX[nibble],
      page[nibble] as Subtree,
      changes.slice(from, to),
    );
    from = to;
  }

  const subtree = fold(page);
  if (subtree.kind === 'inner') pages.set(path, encodePage(page));
  else if (stored !== undefined) pages.set(path, undefined);
  return subtree;
}

function updateSlot(
  readPage: PageReader,
  pages: Map<string, Uint8Array | undefined>,
  path: string,
  slot: Subtree,
  changes: readonly Change[],
): Subtree {
  if (slot.kind === 'inner') return updatePage(readPage, pages, path, undefined, changes);
  const [only] = changes;
  if (changes.length === 1 && only !== undefined) {
    if (slot.kind === 'empty' || isLeafOf(slot, only.keyHash)) return only.subtree;
    if (only.subtree.kind === 'empty') return slot;
  }
  return updatePage(readPage, pages, path, slot.kind === 'leaf' ? slot : EMPTY, changes);
}

/** The root of the tree that is stored. */
export function storedRoot(readPage: PageReader): Hash {
  const stored = readPage('');
  return hashId<Hash>(hashOf(fold(stored === undefined ? EMPTY_PAGE : decodePage(stored))));
}

/** The slots on the way to a key: for proofs. */
export function pagesTo(readPage: PageReader, keyHash: Uint8Array): readonly Page[] {
  const out: Page[] = [];
  for (let path = ''; ; ) {
    const stored = readPage(path);
    const page = stored === undefined ? EMPTY_PAGE : decodePage(stored);
    out.push(page);
    const nibble = nibbleAt(keyHash, path.length);
    if ((page[nibble] as Subtree).kind !== 'inner') return out;
    path += HEX[nibble];
  }
}

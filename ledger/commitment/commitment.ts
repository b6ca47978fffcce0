import { compareBytes } from '../bytes.ts';
import { invariant } from '../errors.ts';
import { type Hash, hashId } from '../ids.ts';
import type { StateChanges } from '../state/draft.ts';
import { atOnce, type Steps } from '../steps.ts';
import { hashOf, keyHashOf, type Subtree, valueHashOf } from './node-hash.ts';
import { decodePage, EMPTY_PAGE, fold, nibbleAt, type Page } from './page.ts';
import { PageEdit } from './page-edit.ts';

/** Encoded pages by path of nibbles (hex digits); `undefined` removes the page. */
export type PageChanges = ReadonlyMap<string, Uint8Array | undefined>;

/** Reads the encoded page at a path, from a database or an overlay. */
export type PageReader = (path: string) => Uint8Array | undefined;

interface Change {
  readonly keyHash: Uint8Array;
  /** `undefined` removes the row. */
  readonly valueHash: Uint8Array | undefined;
}

const HEX = '0123456789abcdef';

/** The root after `changes`, and the pages that it takes. Touches only pages on the way to a changed row. */
export function commit(readPage: PageReader, changes: StateChanges): Commitment {
  return atOnce(commitInSteps(readPage, changes));
}

export interface Commitment {
  readonly root: Hash;
  readonly pages: PageChanges;
}

/** Rows that are hashed, and changes that are made, in one step at most, about. */
const STEP_ROWS = 128;

/** `commit` in short steps, between which the caller may do something else. */
export function* commitInSteps(readPage: PageReader, changes: StateChanges): Steps<Commitment> {
  const list: Change[] = [];
  for (const [key, row] of changes) {
    list.push({ keyHash: keyHashOf(key), valueHash: row === undefined ? undefined : valueHashOf(row) });
    if (list.length % STEP_ROWS === 0) yield undefined;
  }
  list.sort((a, b) => compareBytes(a.keyHash, b.keyHash));
  const update = new Update(readPage);
  const page = update.open('');
  for (const group of groups(list, 0)) {
    yield undefined;
    if (group.length < STEP_ROWS) update.change(page, '', group);
    else yield* update.changeInSteps(page, '', group);
  }
  page.fold();
  // The root page stays, whatever it holds: a tree always has one.
  update.pages.set('', page.encode(update.allocate));
  return { root: hashId<Hash>(page.rootHash()), pages: update.pages };
}

/** The changes under each slot of a page at `depth`; they are sorted. */
function* groups(changes: readonly Change[], depth: number): Generator<readonly Change[]> {
  for (let from = 0; from < changes.length; ) {
    const nibble = nibbleAt((changes[from] as Change).keyHash, depth);
    let to = from + 1;
    while (to < changes.length && nibbleAt((changes[to] as Change).keyHash, depth) === nibble) to++;
    yield from === 0 && to === changes.length ? changes : changes.slice(from, to);
    from = to;
  }
}

/**
 * Pages lie in slabs, each twice as large as the one before up to the most: thousands of buffers of their own cost the
 * garbage collector dearly.
 */
const SLAB_BYTES_MIN = 1_024;
const SLAB_BYTES_MAX = 65_536;

class Update {
  readonly pages = new Map<string, Uint8Array | undefined>();
  #slab = new Uint8Array(SLAB_BYTES_MIN);
  #used = 0;
  readonly #readPage: PageReader;
  /** One page a depth is open at a time: the way from the root to the change at hand. */
  readonly #open: PageEdit[] = [];

  constructor(readPage: PageReader) {
    this.#readPage = readPage;
  }

  /** Room for a page. */
  readonly allocate = (length: number): Uint8Array => {
    if (this.#used + length > this.#slab.length) {
      this.#slab = new Uint8Array(Math.max(length, Math.min(2 * this.#slab.length, SLAB_BYTES_MAX)));
      this.#used = 0;
    }
    this.#used += length;
    return this.#slab.subarray(this.#used - length, this.#used);
  };

  /** The stored page at `path`, to be changed; an empty one where none is stored. */
  open(path: string): PageEdit {
    const page = this.#pageAt(path.length);
    page.load(this.#readPage(path));
    return page;
  }

  #pageAt(depth: number): PageEdit {
    invariant(depth < 64, 'two rows share a key hash');
    const page = this.#open[depth] ?? new PageEdit();
    this.#open[depth] = page;
    return page;
  }

  /** Carries out changes that all lie under one slot of the page at `path`. */
  change(page: PageEdit, path: string, changes: readonly Change[]): void {
    const [first] = changes as readonly [Change];
    const slot = nibbleAt(first.keyHash, path.length);
    if (changes.length === 1 && !page.isInner(slot)) {
      const { keyHash, valueHash } = first;
      const own = page.holds(slot, keyHash);
      if (valueHash === undefined) {
        if (own) page.clear(slot);
        return;
      }
      if (own || page.isEmpty(slot)) {
        page.putLeaf(slot, keyHash, 0, valueHash, 0);
        return;
      }
    }
    const below = path + HEX[slot];
    const stored = page.isInner(slot);
    const next = this.#openBelow(page, slot, below);
    for (const group of groups(changes, below.length)) this.change(next, below, group);
    this.#closeBelow(page, slot, below, next, stored);
  }

  /** `change` of many changes, with a pause after each part of them. */
  *changeInSteps(page: PageEdit, path: string, changes: readonly Change[]): Generator<undefined> {
    const [first] = changes as readonly [Change];
    const slot = nibbleAt(first.keyHash, path.length);
    const below = path + HEX[slot];
    const stored = page.isInner(slot);
    const next = this.#openBelow(page, slot, below);
    for (const group of groups(changes, below.length)) {
      this.change(next, below, group);
      yield undefined;
    }
    this.#closeBelow(page, slot, below, next, stored);
  }

  #openBelow(page: PageEdit, slot: number, below: string): PageEdit {
    if (page.isInner(slot)) return this.open(below);
    const next = this.#pageAt(below.length);
    next.load(undefined);
    // A leaf that stood in the slot moves down because more comes under it.
    next.inherit(page, slot, below.length);
    return next;
  }

  #closeBelow(page: PageEdit, slot: number, below: string, next: PageEdit, stored: boolean): void {
    // A page with fewer than two rows vanishes: its leaf stands in the slot above.
    if (next.fold()) this.pages.set(below, next.encode(this.allocate));
    else if (stored) this.pages.set(below, undefined);
    page.putBelow(slot, next);
  }
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

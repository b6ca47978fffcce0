import { invariant } from '../errors.ts';
import { leaf, type Subtree } from './node-hash.ts';
import { EMPTY_PAGE, encodePage, fold, nibbleAt } from './page.ts';

const HEX = '0123456789abcdef';

/**
 * Builds the tree, or the part of it under one path, from leaves that come in key order: in memory of one page a level,
 * however many leaves there are. What it gives is what `commit` gives for the same rows.
 */
export class TreeBuilder {
  readonly #base: string;
  readonly #onPage: (path: string, page: Uint8Array) => void;
  /** The pages on the way to the last leaf; the one at index i is at depth base + i. */
  readonly #open: Subtree[][] = [[...EMPTY_PAGE]];
  #last: Extract<Subtree, { kind: 'leaf' }> | undefined;
  /** Nibbles that the last leaf shares with the one before it. */
  #shared: number;

  /** `base`: the path under which all leaves lie. `onPage` is given each page when it is complete. */
  constructor(base: string, onPage: (path: string, page: Uint8Array) => void = () => undefined) {
    this.#base = base;
    this.#onPage = onPage;
    this.#shared = base.length;
  }

  /** The next leaf; `keyHash` is above all before it. */
  add(keyHash: Uint8Array, valueHash: Uint8Array): void {
    const next = leaf(keyHash, valueHash) as Extract<Subtree, { kind: 'leaf' }>;
    if (this.#last !== undefined) {
      const shared = sharedNibbles(this.#last.keyHash, keyHash);
      invariant(
        shared < 64 && nibbleAt(this.#last.keyHash, shared) < nibbleAt(keyHash, shared),
        'leaves out of order',
      );
      this.#place(Math.max(this.#shared, shared));
      this.#closeBelow(shared);
      this.#shared = shared;
    }
    this.#last = next;
  }

  /** What stands at the base: nothing, one leaf, or an inner node. A page for it is given out unless it is in the slot above. */
  finish(): Subtree {
    if (this.#last !== undefined) {
      this.#place(this.#shared);
      this.#closeBelow(this.#base.length);
    }
    const page = this.#open[0] as Subtree[];
    const subtree = fold(page);
    // A tree always has its root page.
    if (subtree.kind === 'inner' || this.#base === '') this.#onPage(this.#base, encodePage(page));
    return subtree;
  }

  /** Puts the last leaf into the page at `depth`, which is opened if it is not. */
  #place(depth: number): void {
    const last = this.#last as Extract<Subtree, { kind: 'leaf' }>;
    while (this.#open.length <= depth - this.#base.length) this.#open.push([...EMPTY_PAGE]);
    const page = this.#open[depth - this.#base.length] as Subtree[];
    page[nibbleAt(last.keyHash, depth)] = last;
  }

  /** Nothing more comes under the pages deeper than `depth`. */
  #closeBelow(depth: number): void {
    const { keyHash } = this.#last as Extract<Subtree, { kind: 'leaf' }>;
    for (let at = this.#open.length - 1; at > depth - this.#base.length; at--) {
      const page = this.#open.pop() as Subtree[];
      const pageDepth = this.#base.length + at;
      this.#onPage(pathOf(keyHash, pageDepth), encodePage(page));
      (this.#open[at - 1] as Subtree[])[nibbleAt(keyHash, pageDepth - 1)] = fold(page);
    }
  }
}

/** The first `depth` nibbles of a key as hex digits. */
function pathOf(keyHash: Uint8Array, depth: number): string {
  let path = '';
  for (let i = 0; i < depth; i++) path += HEX[nibbleAt(keyHash, i)];
  return path;
}

function sharedNibbles(a: Uint8Array, b: Uint8Array): number {
  let shared = 0;
  while (shared < 64 && nibbleAt(a, shared) === nibbleAt(b, shared)) shared++;
  return shared;
}

import { LedgerError } from '../errors.ts';
import { hashPairInto, INNER_TAG, LEAF_TAG } from './node-hash.ts';
import { nibbleAt, SLOTS } from './page.ts';

/**
 * A page that is being changed: the same as `Page`, but flat, so that a commit over thousands of rows makes next to no
 * garbage. The binary tree over the slots lies in heap order: node 1 is the root, node i has the children 2i and 2i + 1,
 * and slot s is node 16 + s.
 */

const NODES = 2 * SLOTS;
const EMPTY = 0;
const LEAF = 1;
const INNER = 2;

export class PageEdit {
  readonly #kinds = new Uint8Array(NODES);
  /** 32 bytes a node; zero where nothing is. */
  readonly #hashes = new Uint8Array(NODES * 32);
  /** Key hash ‖ value hash of each slot that is a leaf. */
  readonly #leaves = new Uint8Array(SLOTS * 64);
  /** Of each node that is a leaf, the slot that it comes from. */
  readonly #slots = new Uint8Array(NODES);

  /** Takes up an encoded page; an empty one for `undefined`. Throws LedgerError `malformed`. */
  load(bytes: Uint8Array | undefined): void {
    this.#kinds.fill(EMPTY);
    this.#hashes.fill(0);
    if (bytes === undefined) return;
    const leaves = ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
    const inners = ((bytes[2] ?? 0) << 8) | (bytes[3] ?? 0);
    let at = 4;
    for (let slot = 0; slot < SLOTS; slot++) {
      const bit = 1 << slot;
      if (leaves & bit) {
        this.putLeaf(slot, bytes, at, bytes, at + 32);
        at += 64;
      } else if (inners & bit) {
        this.#kinds[SLOTS + slot] = INNER;
        copy(bytes, at, this.#hashes, (SLOTS + slot) * 32, 32);
        at += 32;
      }
    }
    if (at !== bytes.length || (leaves & inners) !== 0)
      throw new LedgerError('malformed', 'expected a page of the state commitment');
  }

  isEmpty(slot: number): boolean {
    return this.#kinds[SLOTS + slot] === EMPTY;
  }

  isInner(slot: number): boolean {
    return this.#kinds[SLOTS + slot] === INNER;
  }

  /** Whether the slot holds the leaf of that key. */
  holds(slot: number, keyHash: Uint8Array): boolean {
    if (this.#kinds[SLOTS + slot] !== LEAF) return false;
    for (let i = 0; i < 32; i++) if (this.#leaves[slot * 64 + i] !== keyHash[i]) return false;
    return true;
  }

  clear(slot: number): void {
    this.#kinds[SLOTS + slot] = EMPTY;
    this.#hashes.fill(0, (SLOTS + slot) * 32, (SLOTS + slot + 1) * 32);
  }

  /** A leaf of the key hash at `keyAt` in `key` and the value hash at `valueAt` in `value`. */
  putLeaf(slot: number, key: Uint8Array, keyAt: number, value: Uint8Array, valueAt: number): void {
    const at = slot * 64;
    copy(key, keyAt, this.#leaves, at, 32);
    copy(value, valueAt, this.#leaves, at + 32, 32);
    this.#kinds[SLOTS + slot] = LEAF;
    this.#slots[SLOTS + slot] = slot;
    hashPairInto(this.#hashes, (SLOTS + slot) * 32, LEAF_TAG, this.#leaves, at, this.#leaves, at + 32);
  }

  /** Takes the leaf in slot `from` of the page above, at `depth` - 1, into its slot in this page at `depth`. */
  inherit(above: PageEdit, from: number, depth: number): void {
    if (above.#kinds[SLOTS + from] !== LEAF) return;
    const key = above.#leaves.subarray(from * 64, from * 64 + 32);
    this.putLeaf(nibbleAt(key, depth), above.#leaves, from * 64, above.#leaves, from * 64 + 32);
  }

  /** Puts what a folded page below amounts to into its slot: nothing, a leaf that rises, or an inner node. */
  putBelow(slot: number, below: PageEdit): void {
    const kind = below.#kinds[1] as number;
    this.#kinds[SLOTS + slot] = kind;
    copy(below.#hashes, 32, this.#hashes, (SLOTS + slot) * 32, 32);
    if (kind !== LEAF) return;
    this.#slots[SLOTS + slot] = slot;
    copy(below.#leaves, (below.#slots[1] as number) * 64, this.#leaves, slot * 64, 64);
  }

  /** Computes every node over the slots. True when the page as a whole is an inner node. */
  fold(): boolean {
    for (let node = SLOTS - 1; node > 0; node--) {
      const left = 2 * node;
      const right = left + 1;
      const leftKind = this.#kinds[left] as number;
      const rightKind = this.#kinds[right] as number;
      // A lone leaf rises.
      if (rightKind === EMPTY && leftKind !== INNER) this.#rise(left, node);
      else if (leftKind === EMPTY && rightKind !== INNER) this.#rise(right, node);
      else {
        this.#kinds[node] = INNER;
        hashPairInto(this.#hashes, node * 32, INNER_TAG, this.#hashes, left * 32, this.#hashes, right * 32);
      }
    }
    return this.#kinds[1] === INNER;
  }

  #rise(child: number, node: number): void {
    this.#kinds[node] = this.#kinds[child] as number;
    this.#slots[node] = this.#slots[child] as number;
    copy(this.#hashes, child * 32, this.#hashes, node * 32, 32);
  }

  /** The hash of a folded page: 32 bytes. */
  rootHash(): Uint8Array {
    return this.#hashes.slice(32, 64);
  }

  /** As `encodePage`, into what `allocate` gives. */
  encode(allocate: (length: number) => Uint8Array): Uint8Array {
    let leaves = 0;
    let inners = 0;
    let length = 4;
    for (let slot = 0; slot < SLOTS; slot++) {
      const kind = this.#kinds[SLOTS + slot];
      if (kind === LEAF) leaves |= 1 << slot;
      else if (kind === INNER) inners |= 1 << slot;
      length += kind === LEAF ? 64 : kind === INNER ? 32 : 0;
    }
    const bytes = allocate(length);
    bytes[0] = leaves >> 8;
    bytes[1] = leaves & 255;
    bytes[2] = inners >> 8;
    bytes[3] = inners & 255;
    let at = 4;
    for (let slot = 0; slot < SLOTS; slot++) {
      if (leaves & (1 << slot)) {
        copy(this.#leaves, slot * 64, bytes, at, 64);
        at += 64;
      } else if (inners & (1 << slot)) {
        copy(this.#hashes, (SLOTS + slot) * 32, bytes, at, 32);
        at += 32;
      }
    }
    return bytes;
  }
}

/** Byte by byte: for so few of them faster than a view and `set`. */
function copy(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number, length: number): void {
  for (let i = 0; i < length; i++) to[toAt + i] = from[fromAt + i] as number;
}

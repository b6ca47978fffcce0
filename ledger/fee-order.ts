import type { TransactionId } from './ids.ts';
import type { Transaction } from './transaction.ts';

/** Which of many waiting transactions a block takes first. */

/** What the order goes by. */
interface Priced {
  readonly id: TransactionId;
  readonly transaction: Transaction;
}

/** The next transactions of accounts, the dearest first: a binary heap. */
export class FeeOrder<Head extends { readonly pooled: Priced }> {
  readonly #heap: Head[];

  constructor(heads: readonly Head[]) {
    // What is sorted is a heap.
    this.#heap = [...heads].sort((a, b) => compareFees(a.pooled, b.pooled));
  }

  add(head: Head): void {
    const heap = this.#heap;
    let at = heap.length;
    while (at > 0) {
      const up = (at - 1) >> 1;
      const parent = heap[up] as Head;
      if (compareFees(parent.pooled, head.pooled) <= 0) break;
      heap[at] = parent;
      at = up;
    }
    heap[at] = head;
  }

  /** The dearest, which leaves; `undefined` when none is left. */
  take(): Head | undefined {
    const heap = this.#heap;
    const [dearest] = heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return dearest;
    let at = 0;
    for (;;) {
      let down = 2 * at + 1;
      if (down >= heap.length) break;
      if (
        down + 1 < heap.length &&
        compareFees((heap[down] as Head).pooled, (heap[down + 1] as Head).pooled) > 0
      )
        down++;
      if (compareFees(last.pooled, (heap[down] as Head).pooled) <= 0) break;
      heap[at] = heap[down] as Head;
      at = down;
    }
    heap[at] = last;
    return dearest;
  }
}

/** Dearer ones first; the id decides between equals, so that the order is always the same. */
export function compareFees(a: Priced, b: Priced): number {
  if (a.transaction.feeGrains !== b.transaction.feeGrains)
    return a.transaction.feeGrains > b.transaction.feeGrains ? -1 : 1;
  return a.id < b.id ? -1 : 1;
}

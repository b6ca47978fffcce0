/** What happens when: a heap of (time, sequence) under a virtual clock. */
export class Agenda {
  readonly #heap: { readonly atMs: number; readonly sequence: number; readonly run: () => void }[] = [];
  #sequence = 0;
  nowMs = 0;

  at(atMs: number, run: () => void): void {
    const heap = this.#heap;
    const entry = { atMs: Math.max(Math.ceil(atMs), this.nowMs), sequence: this.#sequence++, run };
    let i = heap.length;
    heap.push(entry);
    while (i > 0) {
      const above = (i - 1) >> 1;
      if (before(heap[above] as typeof entry, entry)) break;
      heap[i] = heap[above] as typeof entry;
      i = above;
    }
    heap[i] = entry;
  }

  /** Runs the next thing; false when there is none. */
  step(): boolean {
    const heap = this.#heap;
    const [first] = heap;
    const last = heap.pop();
    if (first === undefined || last === undefined) return false;
    if (heap.length > 0) {
      let i = 0;
      for (;;) {
        let below = 2 * i + 1;
        if (below >= heap.length) break;
        if (below + 1 < heap.length && before(heap[below + 1] as typeof last, heap[below] as typeof last))
          below++;
        if (before(last, heap[below] as typeof last)) break;
        heap[i] = heap[below] as typeof last;
        i = below;
      }
      heap[i] = last;
    }
    this.nowMs = first.atMs;
    first.run();
    return true;
  }

  get steps(): number {
    return this.#sequence;
  }
}

function before(a: { atMs: number; sequence: number }, b: { atMs: number; sequence: number }): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.sequence < b.sequence);
}
